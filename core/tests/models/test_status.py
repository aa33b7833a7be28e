"""Errors and the statuses that clients see."""

import pytest

from bareboat.models import status


def test_a_not_found_reads_like_upstreams():
    assert status.NotFound.of("deployments", "web", group="apps").to_status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "web" not found',
        "reason": "NotFound",
        "details": {"name": "web", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


def test_an_invalid_object_lists_its_causes():
    causes = [
        status.Cause("FieldValueRequired", "Required value", "spec.a"),
        status.Cause("FieldValueInvalid", "Invalid value: 1", "spec.b"),
    ]
    error = status.Invalid("Deployment", "web", causes, group="apps")
    assert error.message == 'Deployment.apps "web" is invalid: [spec.a: Required value, spec.b: Invalid value: 1]'
    assert error.causes == causes
    assert status.Invalid("Pod", "p", causes[:1]).message == 'Pod "p" is invalid: spec.a: Required value'


def test_a_conflict_tells_to_try_again():
    assert status.Conflict.of("pods", "a").message == (
        'Operation cannot be fulfilled on pods "a": '
        "the object has been modified; please apply your changes to the latest version and try again"
    )


def test_retry_after_is_part_of_the_details():
    assert status.TooManyRequests("slow down", retry_after=5).to_status()["details"] == {"retryAfterSeconds": 5}


@pytest.mark.parametrize(
    "error",
    [
        status.NotFound.of("pods", "a"),
        status.AlreadyExists.of("pods", "a"),
        status.Conflict.of("pods", "a"),
        status.ResourceExpired("too old"),
        status.Gone("gone"),
        status.Invalid("Pod", "a", [status.Cause("FieldValueRequired", "Required value", "spec")]),
        status.Unauthorized(),
        status.Forbidden.of("pods", "a", because="no"),
        status.InternalError.of("boom"),
        status.ServerTimeout("later", retry_after=1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_the_way_over_the_wire(error):
    back = status.from_status(error.to_status())
    assert type(back) is type(error)
    assert back.to_status() == error.to_status()


def test_an_answer_that_is_no_status_becomes_an_error_of_its_code():
    assert isinstance(status.from_status({}, 404), status.NotFound)
    assert status.from_status({}, 418).code == 418

"""Reviews and token requests."""

import pytest

from bareboat.api.kinds.reviews import validate_access_review, validate_token_request
from bareboat.models.authentication_v1 import TokenRequest, TokenRequestSpec
from bareboat.models.authorization_v1 import NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec
from bareboat.models.meta_v1 import ObjectMeta

POD, HEALTH = ResourceAttributes(verb="get", resource="pods", namespace="a"), NonResourceAttributes(verb="get", path="/healthz")


@pytest.mark.parametrize(
    ("spec", "namespace", "fields"),
    [
        ({"user": "u", "resourceAttributes": POD}, "", []),
        ({"user": "u", "resourceAttributes": POD}, "a", []),
        ({"groups": ["g"], "nonResourceAttributes": HEALTH}, "", []),
        ({"resourceAttributes": POD}, "", ["spec.user"]),
        ({"user": "u"}, "", ["spec.resourceAttributes"]),
        ({"user": "u", "resourceAttributes": POD, "nonResourceAttributes": HEALTH}, "", ["spec.nonResourceAttributes"]),
        ({"user": "u", "nonResourceAttributes": HEALTH}, "a", ["spec.nonResourceAttributes"]),
        ({"user": "u", "resourceAttributes": POD}, "b", ["spec.resourceAttributes.namespace"]),
    ],
)
def test_a_question_is_about_one_thing(spec, namespace, fields):
    review = SubjectAccessReview(spec=SubjectAccessReviewSpec(**spec))
    assert [cause.field for cause in validate_access_review(review, namespace=namespace)] == fields


@pytest.mark.parametrize(
    ("name", "seconds", "fields"),
    [
        ("", None, []),
        ("sa", 600, []),
        ("other", 600, ["metadata.name"]),
        ("", 599, ["spec.expirationSeconds"]),
        ("", 2**33, ["spec.expirationSeconds"]),
    ],
)
def test_a_token_is_for_its_account_and_for_a_while(name, seconds, fields):
    request = TokenRequest(metadata=ObjectMeta(name=name), spec=TokenRequestSpec(expirationSeconds=seconds))
    assert [cause.field for cause in validate_token_request(request, "default", "sa")] == fields

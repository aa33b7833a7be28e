"""What is written of requests is what Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families

from bareboat.api.request_metrics import BUCKETS, RequestMetrics
from bareboat.cluster.request_lines import RequestLines

GET = ("GET", "apps", "v1", "deployments", "", "namespace")
ODD = ("LIST", "", "v1", 'o"d\\d', "status", "cluster")


def read(requests):
    families = {family.name: family for family in text_string_to_metric_families(RequestLines(requests).text().decode())}
    return families["apiserver_request"], families["apiserver_request_duration_seconds"]


def test_each_kind_and_outcome_has_its_count():
    requests = RequestMetrics()
    for labels, code in ((GET, 200), (GET, 200), (GET, 404), (ODD, 500)):
        requests.answered(labels, code, 0.01)
    counts, _ = read(requests)
    assert counts.type == "counter"
    assert {(s.labels["resource"], s.labels["code"]): s.value for s in counts.samples} == {
        ("deployments", "200"): 2,
        ("deployments", "404"): 1,
        ('o"d\\d', "500"): 1,
    }
    assert counts.samples[0].labels == dict(zip(("verb", "group", "version", "resource", "subresource", "scope"), GET, strict=True)) | {
        "code": "200"
    }


def test_times_are_a_histogram_whose_buckets_add_up():
    requests = RequestMetrics()
    for seconds in (0.001, 0.3, 0.3, 1e6):
        requests.answered(GET, 200, seconds)
    _, seconds = read(requests)
    assert seconds.type == "histogram"
    buckets = {s.labels["le"]: s.value for s in seconds.samples if s.name.endswith("_bucket")}
    assert [float(bound) for bound in buckets] == [*BUCKETS, float("inf")]
    assert list(buckets.values()) == sorted(buckets.values())
    assert (buckets["+Inf"], buckets[str(max(b for b in BUCKETS if b < 0.3))], buckets[str(BUCKETS[-1])]) == (4, 1, 3)
    others = {s.name.rpartition("_")[2]: s.value for s in seconds.samples if not s.name.endswith("_bucket")}
    assert others == {"count": 4, "sum": 0.001 + 0.3 + 0.3 + 1e6}


def test_without_requests_there_are_no_samples():
    assert all(not family.samples for family in read(RequestMetrics()))

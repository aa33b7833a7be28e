"""The fake passes the same suite as the real runtime."""

from bareboat.testing.cri_suite import RuntimeSuite
from bareboat.testing.cri_suite_features import EventRules
from bareboat_cri_fake.plugin import FakeRuntime


class TestFakeRuntime(EventRules, RuntimeSuite):
    image, other_image, missing_image, malformed_image = "busybox:1", "busybox:2", "missing:1", " bad name"

    def make_driver(self, host):
        return FakeRuntime(FakeRuntime.Options(), host)

    def exits_with(self, code):
        return {"annotations": {"fake.bareboat.dev/exit-after": "0.01", "fake.bareboat.dev/exit-code": str(code)}}

    def runs_on(self):
        return {}

    def ignores_stop(self):
        return {"annotations": {"fake.bareboat.dev/ignore-stop": "yes"}}

    def obeys_stop(self):
        return {"annotations": {"fake.bareboat.dev/stop-code": "0"}}

    def cannot_start(self):
        return {"command": ("/no/such/command",)}

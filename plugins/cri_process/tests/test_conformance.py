"""The process runtime keeps every rule of the runtime contract."""

import os

import pytest

from bareboat.testing import cri_suite_features as features
from bareboat.testing.cri_suite import RuntimeSuite
from bareboat_cri_process.crun import executable
from bareboat_cri_process.options import ProcessOptions
from bareboat_cri_process.plugin import ProcessRuntime


class Rules(
    features.LogRules,
    features.TtyRules,
    features.AttachRules,
    features.PortForwardRules,
    features.StatsRules,
    features.EventRules,
    features.ImageRemovalRules,
    features.UpdateRules,
    RuntimeSuite,
):
    image, other_image = "host", "host:other"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="the process runtime needs root")
class TestProcessRuntime(Rules):
    def make_driver(self, host):
        return ProcessRuntime(ProcessOptions(), host)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or not executable(), reason="needs root and crun")
class TestThroughCrun(Rules):
    def make_driver(self, host):
        return ProcessRuntime(ProcessOptions(runtime="crun"), host)

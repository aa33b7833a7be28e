"""Every plugin of the distribution keeps the rules of the contract."""

import pytest

from bareboat.testing.admission_suite import AdmissionSuite
from bareboat_admission_builtin.choice import _makers
from bareboat_admission_builtin.options import Options

NAMES = list(_makers(None, None, Options()))


@pytest.fixture(params=NAMES, autouse=True)
def name(request):
    return request.param


class TestEveryPlugin(AdmissionSuite):
    @pytest.fixture(autouse=True)
    def _chosen(self, name):
        self.name = name

    def make(self, reader, host):
        return _makers(reader, host, Options())[self.name]()

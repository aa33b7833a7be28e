"""The classes that the entry points name."""

from __future__ import annotations

from bareboat.contracts import cni, cri, proxy
from bareboat.contracts.driver import NoOptions, PluginInfo
from bareboat.testing.csi_fake import FakeStorage
from bareboat_cri_fake.network import FakeNetworkDriver, FakeProxyDriver
from bareboat_cri_fake.options import FakeOptions
from bareboat_cri_fake.runtime import FakeRuntimeDriver

__all__ = ["FakeNetwork", "FakeProxy", "FakeRuntime", "FakeStorage"]


class FakeRuntime(FakeRuntimeDriver):
    inline = True
    info = PluginInfo(name="fake", summary="containers as records: no root, no processes", contract=cri.GROUP)
    Options = FakeOptions


class FakeNetwork(FakeNetworkDriver):
    inline = True
    info = PluginInfo(name="fake", summary="pod addresses as data", contract=cni.GROUP)
    Options = NoOptions


class FakeProxy(FakeProxyDriver):
    inline = True
    info = PluginInfo(name="fake", summary="remembers the Services it is told of", contract=proxy.GROUP)
    Options = NoOptions

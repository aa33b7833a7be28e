"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.cni import GROUP
from bareboat.contracts.driver import PluginInfo
from bareboat_cni_exec.driver import ExecDriver
from bareboat_cni_exec.options import ExecOptions


class ExecNetwork(ExecDriver):
    info = PluginInfo(name="exec", summary="any CNI binaries, called as their specification says", contract=GROUP)
    Options = ExecOptions

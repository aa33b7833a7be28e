"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.cri import GROUP
from bareboat.contracts.driver import PluginInfo
from bareboat_cri_process.driver import ProcessDriver
from bareboat_cri_process.options import ProcessOptions


class ProcessRuntime(ProcessDriver):
    info = PluginInfo(name="process", summary="containers as processes of this machine, no daemon", contract=GROUP)
    Options = ProcessOptions

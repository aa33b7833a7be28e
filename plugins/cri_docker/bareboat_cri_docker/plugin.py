"""The class that the entry point names."""

from __future__ import annotations

from bareboat.contracts.cri import GROUP
from bareboat.contracts.driver import PluginInfo
from bareboat_cri_docker.driver import DockerDriver
from bareboat_cri_docker.options import DockerOptions


class DockerRuntime(DockerDriver):
    info = PluginInfo(name="docker", summary="containers of a Docker daemon on this machine", contract=GROUP)
    Options = DockerOptions

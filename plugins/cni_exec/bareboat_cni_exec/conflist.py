"""The network configuration list: where it comes from, and what of it is the node's own.

What comes in: the options and the node's ``NetworkConfig``. What goes out: a ``ConfList`` whose placeholders are filled in. Not here:
which version is spoken, which depends on what the binaries say.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import msgspec

from bareboat.contracts.cni import NetworkConfig
from bareboat.contracts.errors import InvalidConfig
from bareboat_cni_exec.options import ExecOptions


class ConfList(msgspec.Struct, frozen=True, kw_only=True):
    """``versions`` that the configuration allows, none of them: whatever the binaries speak."""

    name: str
    plugins: tuple[dict[str, Any], ...]
    versions: tuple[str, ...] = ()
    disable_check: bool = False
    disable_gc: bool = False


def load(options: ExecOptions, config: NetworkConfig, *, instance: str, ipam: Path) -> ConfList:
    """Raises InvalidConfig. ``ipam`` is where host-local keeps addresses, unless the configuration says."""
    try:
        cidr = ipaddress.ip_network(config.pod_cidr)
    except ValueError as error:
        raise InvalidConfig(f"pod CIDR {config.pod_cidr!r}: {error}") from error
    if cidr.num_addresses < 4:
        raise InvalidConfig(f"pod CIDR {config.pod_cidr!r} has no room for pods")
    values: dict[str, Any] = {
        "{podCIDR}": config.pod_cidr,
        "{clusterCIDR}": config.cluster_cidr,
        "{serviceCIDR}": config.service_cidr,
        "{mtu}": config.mtu,
        "{instance}": instance,
    }
    raw, origin = _raw(options)
    found = _list(filled(raw, values), origin)
    return msgspec.structs.replace(found, plugins=tuple(_with_ranges(p, config.pod_cidr, ipam) for p in found.plugins))


def _raw(options: ExecOptions) -> tuple[dict[str, Any], str]:
    if options.config:
        return options.config, "config"
    directory = Path(options.confDir)
    if not directory.is_dir():
        raise InvalidConfig(f"confDir {directory} is no directory, and there is no config")
    for path in sorted(directory.iterdir()):
        if path.suffix in (".conflist", ".conf", ".json"):
            try:
                return msgspec.json.decode(path.read_bytes(), type=dict[str, Any]), str(path)
            except msgspec.DecodeError as error:
                raise InvalidConfig(f"{path}: {error}") from error
    raise InvalidConfig(f"confDir {directory} has no .conflist, .conf or .json, and there is no config")


def _list(raw: dict[str, Any], origin: str) -> ConfList:
    """A single plugin's configuration is a list of one."""
    plugins = raw.get("plugins", [raw])
    if not isinstance(plugins, list) or not plugins or not all(isinstance(p, dict) and isinstance(p.get("type"), str) for p in plugins):
        raise InvalidConfig(f"{origin}: plugins must be a list of objects with a type")
    name = raw.get("name", "")
    if not isinstance(name, str) or not name:
        raise InvalidConfig(f"{origin}: name: required")
    for plugin in plugins:
        if "/" in plugin["type"]:
            raise InvalidConfig(f"{origin}: type {plugin['type']!r}: the name of a binary, without a path")
    versions = raw.get("cniVersions") or [raw["cniVersion"]] if raw.get("cniVersions") or raw.get("cniVersion") else []
    return ConfList(
        name=name,
        plugins=tuple({k: v for k, v in p.items() if k not in ("cniVersion", "cniVersions", "name")} for p in plugins),
        versions=tuple(str(v) for v in versions),
        disable_check=bool(raw.get("disableCheck", False)),
        disable_gc=bool(raw.get("disableGC", False)),
    )


def filled(value: Any, values: dict[str, Any]) -> Any:
    """A string that is one placeholder becomes its value, number or text; within a longer one it becomes text."""
    if isinstance(value, dict):
        return {k: filled(v, values) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [filled(v, values) for v in value]
    if not isinstance(value, str):
        return value
    if value in values:
        return values[value]
    for word, text in values.items():
        value = value.replace(word, str(text))
    return value


def _with_ranges(plugin: dict[str, Any], cidr: str, ipam: Path) -> dict[str, Any]:
    """host-local without a range of its own gives out the node's."""
    how = plugin.get("ipam")
    if not isinstance(how, dict) or how.get("type") != "host-local":
        return plugin
    own = {"dataDir": str(ipam), **how}
    if "subnet" not in own and "ranges" not in own:
        own["ranges"] = [[{"subnet": cidr}]]
    return {**plugin, "ipam": own}

"""Between the contract's values and the CNI specification's JSON: results, capability arguments, error codes.

Codes below 100 are the specification's; binaries give what they cannot name as 999 with a text. ``details`` of our own binary
(``binary``) name the contract's error, so that nothing is lost between the two.
"""

from __future__ import annotations

from typing import Any

from bareboat.contracts import errors
from bareboat.contracts.cni import Attachment, NetworkConfig, Result
from bareboat.contracts.cri import PortMapping
from bareboat.contracts.errors import DriverError

VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")

#: Code → (error, reason).
CODES: dict[int, tuple[type[DriverError], str]] = {
    1: (errors.InvalidConfig, "IncompatibleCNIVersion"),
    2: (errors.InvalidConfig, "UnsupportedField"),
    3: (errors.NotFound, "ContainerUnknown"),
    4: (errors.InvalidConfig, "InvalidEnvironment"),
    5: (errors.Unavailable, "IOFailure"),
    6: (errors.InvalidConfig, "DecodingFailure"),
    7: (errors.InvalidConfig, "InvalidNetworkConfig"),
    8: (errors.NotFound, "InvalidNetNS"),
    11: (errors.Unavailable, "TryAgainLater"),
    50: (errors.Unavailable, "PluginNotAvailable"),
    51: (errors.Unavailable, "LimitedConnectivity"),
}
#: What an address manager says without a code when there are none left.
EXHAUSTED = "no IP addresses available"
OURS = "bareboat:"
TO_CODE: dict[type[DriverError], int] = {
    errors.InvalidConfig: 7,
    errors.Unsupported: 2,
    errors.NotFound: 3,
    errors.Conflict: 7,
    errors.InProgress: 11,
    errors.Exhausted: 11,
    errors.Unavailable: 11,
}


def error_of(answer: Any, binary: str) -> DriverError:
    """Of what a binary printed when it failed; ``answer`` is None when it printed nothing sensible."""
    if not isinstance(answer, dict):
        return DriverError(f"{binary} failed without saying why", reason="PluginFailed")
    code, message, details = answer.get("code"), str(answer.get("msg", "")), str(answer.get("details", ""))
    if details.startswith(OURS):
        name, _, reason = details[len(OURS) :].partition("/")
        kind = getattr(errors, name, DriverError)
        return kind(message, reason=reason)
    text = f"{binary}: {message}" + (f": {details}" if details else "")
    if EXHAUSTED in text:
        return errors.Exhausted(text, reason="AddressesExhausted")
    kind, reason = CODES.get(code if isinstance(code, int) else 999, (DriverError, "PluginFailed"))
    return kind(text, reason=reason, retry_after=None)


def error_json(error: Exception, version: str) -> dict[str, Any]:
    if not isinstance(error, DriverError):
        return {"cniVersion": version, "code": 999, "msg": f"{type(error).__name__}: {error}"}
    code = next((c for kind, c in TO_CODE.items() if isinstance(error, kind)), 999)
    return {"cniVersion": version, "code": code, "msg": error.message, "details": f"{OURS}{type(error).__name__}/{error.reason}"}


def result_of(answer: dict[str, Any], ifname: str) -> Result:
    """The part of a result that the contract has: addresses and hardware address of the pod's own interface."""
    interfaces = [i for i in answer.get("interfaces") or [] if isinstance(i, dict)]
    mine = next((n for n, i in enumerate(interfaces) if i.get("name") == ifname and i.get("sandbox")), None)
    ips = [i for i in answer.get("ips") or [] if i.get("interface", mine) in (mine, None)]
    return Result(
        ips=tuple(str(i["address"]) for i in ips),
        gateway=next((str(i["gateway"]) for i in ips if i.get("gateway")), ""),
        mac=str(interfaces[mine].get("mac", "")) if mine is not None else "",
        host_interface=next((n for n in reversed(host_interfaces(answer))), ""),
    )


def host_interfaces(answer: dict[str, Any]) -> list[str]:
    """Those that are the node's; the pod's own end last, as the plugins that make pairs list them."""
    return [str(i["name"]) for i in answer.get("interfaces") or [] if i.get("name") and not i.get("sandbox")]


def result_json(result: Result, attachment: Attachment, version: str) -> dict[str, Any]:
    """As version 0.3.0 and later have it; up to 0.4.0 an address says its family."""
    interfaces = [{"name": result.host_interface}] if result.host_interface else []
    interfaces.append({"name": attachment.ifname, "mac": result.mac, "sandbox": attachment.netns})
    ips = []
    for address in result.ips:
        entry: dict[str, Any] = {"address": address, "interface": len(interfaces) - 1}
        if result.gateway:
            entry["gateway"] = result.gateway
        if version.startswith("0."):
            entry["version"] = "6" if ":" in address else "4"
        ips.append(entry)
    return {"cniVersion": version, "interfaces": interfaces, "ips": ips, "dns": {}}


def runtime_config(plugin: dict[str, Any], attachment: Attachment | None, config: NetworkConfig | None) -> dict[str, Any]:
    """Arguments for the capabilities that the plugin's configuration declares."""
    wanted = plugin.get("capabilities") or {}
    given: dict[str, Any] = {}
    if wanted.get("portMappings") and attachment is not None and attachment.ports:
        given["portMappings"] = [port_json(p) for p in attachment.ports]
    if wanted.get("ipRanges") and config is not None:
        given["ipRanges"] = [[{"subnet": config.pod_cidr}]]
    return given


def port_json(port: PortMapping) -> dict[str, Any]:
    found = {"hostPort": port.host_port, "containerPort": port.container_port, "protocol": port.protocol.lower()}
    return {**found, "hostIP": port.host_ip} if port.host_ip else found


def ports_of(runtime: Any) -> tuple[PortMapping, ...]:
    """Of ``runtimeConfig``. Raises InvalidConfig."""
    try:
        return tuple(
            PortMapping(
                container_port=int(p["containerPort"]),
                host_port=int(p["hostPort"]),
                protocol=str(p.get("protocol", "tcp")).upper(),
                host_ip=str(p.get("hostIP", "")),
            )
            for p in (runtime or {}).get("portMappings") or []
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise errors.InvalidConfig(f"runtimeConfig.portMappings: {error!r}") from error

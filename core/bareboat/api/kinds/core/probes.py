"""Handlers: what probes and lifecycle hooks of a container do."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.causes import each, forbidden, invalid, non_negative, one_of, port_number, required
from bareboat.models.names import http_header_name, port_name
from bareboat.models.status import Cause

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")


def validate_probes(container: Any, at: str, grace: int | None) -> list[Cause]:
    causes: list[Cause] = []
    for name in PROBES:
        probe = getattr(container, name)
        if probe is not None:
            causes += _probe(probe, f"{at}.{name}", grace, readiness=name == "readinessProbe")
    return causes


def _probe(probe: Any, at: str, grace: int | None, *, readiness: bool) -> list[Cause]:
    causes = _handler(probe, at, _PROBE_HANDLERS, grace)
    for field in _COUNTS:
        if getattr(probe, field) < 0:
            causes += non_negative(f"{at}.{field}", getattr(probe, field))
    wait = probe.terminationGracePeriodSeconds
    if wait is not None and wait <= 0:
        causes.append(invalid(f"{at}.terminationGracePeriodSeconds", wait, "must be greater than 0"))
    if readiness and wait is not None:
        causes.append(invalid(f"{at}.terminationGracePeriodSeconds", wait, "must not be set for readinessProbes"))
    if not readiness and probe.successThreshold != 1:
        causes.append(invalid(f"{at}.successThreshold", probe.successThreshold, "must be 1"))
    return causes


def validate_lifecycle(lifecycle: Any, at: str, grace: int | None, spec: Any) -> list[Cause]:
    causes: list[Cause] = []
    for hook in ("postStart", "preStop"):
        handler = getattr(lifecycle, hook)
        if handler is not None:
            causes += _handler(handler, f"{at}.{hook}", _HOOK_HANDLERS, grace)
    if lifecycle.stopSignal is not None and (spec.os is None or not spec.os.name):
        causes.append(forbidden(f"{at}.stopSignal", "may not be set for containers with empty `spec.os.name`"))
    return causes


def _handler(handler: Any, at: str, kinds: tuple[str, ...], grace: int | None) -> list[Cause]:
    chosen = [kind for kind in kinds if getattr(handler, kind) is not None]
    if not chosen:
        return [required(at, "must specify a handler type")]
    causes = _ACTIONS[chosen[0]](getattr(handler, chosen[0]), f"{at}.{chosen[0]}", grace)
    return causes + [forbidden(f"{at}.{kind}", "may not specify more than 1 handler type") for kind in chosen[1:]]


def _exec(action: Any, at: str, grace: int | None) -> list[Cause]:
    return [] if action.command else [required(f"{at}.command")]


def _http(action: Any, at: str, grace: int | None) -> list[Cause]:
    causes = [] if action.path else [required(f"{at}.path")]
    causes += target_port(f"{at}.port", action.port) + one_of(f"{at}.scheme", action.scheme, ("HTTP", "HTTPS"))
    for header in action.httpHeaders:
        causes += each(f"{at}.httpHeaders", header.name, http_header_name(header.name))
    return causes


def _tcp(action: Any, at: str, grace: int | None) -> list[Cause]:
    return target_port(f"{at}.port", action.port)


def _grpc(action: Any, at: str, grace: int | None) -> list[Cause]:
    return port_number(f"{at}.port", action.port)


def _sleep(action: Any, at: str, grace: int | None) -> list[Cause]:
    if grace is None or 0 <= action.seconds <= grace:
        return []
    return [invalid(at, action.seconds, f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")]


_ACTIONS = {"exec": _exec, "httpGet": _http, "tcpSocket": _tcp, "grpc": _grpc, "sleep": _sleep}


def target_port(field: str, port: int | str) -> list[Cause]:
    return port_number(field, port) if isinstance(port, int) else each(field, port, port_name(port))

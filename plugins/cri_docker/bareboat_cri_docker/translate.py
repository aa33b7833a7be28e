"""The daemon's answers and failures → contract values and errors. Pure functions."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from bareboat.contracts.cri import Container, ContainerConfig, Image, Sandbox, SandboxConfig, Stats
from bareboat.contracts.errors import Conflict, DriverError, Exhausted, InvalidConfig, NotFound, Unavailable

#: Labels on everything that this driver makes; the rest of a container's labels is the pod's.
INSTANCE, KIND, SANDBOX, CONFIG = "bareboat.dev/instance", "bareboat.dev/kind", "bareboat.dev/sandbox", "bareboat.dev/config"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/"
_REFERENCE = re.compile(
    rf"^((?:{_DOMAIN})?{_COMPONENT}(?:/{_COMPONENT})*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?(?:@(sha256:[0-9a-f]{{64}}))?$"
)
_ENDED = ("exited", "dead", "removing")
_STARTED_BY = re.compile(r"^.*?(unable to start container process: |runc create failed: |failed to create shim task: )")


def reference(image: str) -> tuple[str, str]:
    """Repository and tag or digest, ``latest`` where the reference has neither. Raises NotFound(InvalidImageName)."""
    found = _REFERENCE.match(image)
    if found is None:
        message = f'couldn\'t parse image name "{image}": invalid reference format'
        raise NotFound(f"Failed to apply default image tag {image!r}: {message}", reason="InvalidImageName")
    return found[1], found[3] or found[2] or "latest"


def status_of(error: OSError) -> int:
    """The HTTP status that the daemon answered with; 0 if it did not answer."""
    response = getattr(error, "response", None)
    return int(getattr(error, "status", 0) or getattr(response, "status_code", 0) or 0)


def message_of(error: OSError) -> str:
    return str(getattr(error, "explanation", None) or error)


def failure(error: OSError) -> DriverError:
    """What the daemon refused, or that it was not to be reached."""
    status, message = status_of(error), message_of(error)
    if "no space left" in message or "disk quota" in message:
        return Exhausted(message)
    if status == 404:
        return NotFound(message)
    if status == 409:
        return Conflict(message)
    if status == 400:
        return InvalidConfig(message, reason="CreateContainerError")
    return Unavailable(message if status else f"the Docker daemon does not answer: {message}")


def start_failure(message: str) -> str:
    """What kept a command from running, without the names of the layers it went through."""
    return "unable to start container process: " + _STARTED_BY.sub("", message).removesuffix(": unknown").strip()


def nanoseconds(text: str) -> int:
    """An RFC 3339 time, with up to nine digits after the point; 0 for the daemon's zero time."""
    if not text or text.startswith("0001-"):
        return 0
    body, zone = (text[:-1], "+00:00") if text.endswith("Z") else (text[:-6], text[-6:])
    seconds, _, fraction = body.partition(".")
    return int(datetime.fromisoformat(seconds + zone).timestamp()) * 1_000_000_000 + int(f"{fraction:0<9}"[:9])


def sandbox_of(found: dict[str, Any]) -> Sandbox:
    config = msgspec.json.decode(found["Config"]["Labels"][CONFIG], type=SandboxConfig)
    pid = found["State"]["Pid"] if found["State"]["Running"] else 0
    netns = "" if config.host_network or not pid else f"/proc/{pid}/ns/net"
    created = nanoseconds(found["Created"])
    return Sandbox(id=found["Id"], config=config, state="READY" if pid else "NOTREADY", created_at=created, netns=netns, pid=pid)


def container_of(found: dict[str, Any], failed_at: int = 0) -> Container:
    """``failed_at``: when it could not be started, which the daemon does not note."""
    state, labels = found["State"], found["Config"]["Labels"]
    created = nanoseconds(found["Created"])
    known = {
        "id": found["Id"],
        "sandbox_id": labels[SANDBOX],
        "config": msgspec.json.decode(labels[CONFIG], type=ContainerConfig),
        "image_id": found["Image"],
        "created_at": created,
        "state": "CREATED",
    }
    if state["Status"] in ("running", "paused", "restarting"):
        known |= {"state": "RUNNING", "started_at": nanoseconds(state["StartedAt"]), "pid": state["Pid"]}
    elif state["Status"] in _ENDED and nanoseconds(state["StartedAt"]):
        started = nanoseconds(state["StartedAt"])  # noted when the start has returned: something short has ended before
        known |= {"state": "EXITED", "started_at": started, "finished_at": max(started, nanoseconds(state["FinishedAt"]))}
        known |= {"exit_code": state["ExitCode"], "reason": _reason(state), "message": state["Error"]}
    elif state["Error"] or state["ExitCode"]:
        known |= {"state": "EXITED", "started_at": failed_at or created, "finished_at": failed_at or created}
        known |= {"exit_code": state["ExitCode"] or 128, "reason": "StartError", "message": start_failure(state["Error"])}
    elif state["Status"] in _ENDED:
        known |= {"state": "EXITED", "finished_at": created, "exit_code": 137, "reason": "Error"}
    return msgspec.convert(known, Container)


def _reason(state: dict[str, Any]) -> str:
    if state["OOMKilled"] and state["ExitCode"]:
        return "OOMKilled"
    return "Error" if state["ExitCode"] else "Completed"


def image_of(found: dict[str, Any], user: str = "") -> Image:
    """Names as they may be written: the daemon leaves out its default registry, and ``latest`` may be left out."""
    tags = [name for tag in found["RepoTags"] or () if tag != "<none>:<none>" for name in spellings(tag)]
    digests = tuple(d for d in found["RepoDigests"] or () if not d.startswith("<none>"))
    return Image(id=found["Id"], tags=tuple(tags), digests=digests, size=found["Size"], user=user)


def spellings(tag: str) -> tuple[str, ...]:
    name, _, version = tag.rpartition(":")
    short = (tag, name) if version == "latest" else (tag,)
    first = name.partition("/")[0]
    if "/" in name and ("." in first or ":" in first or first == "localhost"):
        return short
    prefix = "docker.io/" if "/" in name else "docker.io/library/"
    return (*short, *(prefix + s for s in short))


def stats_of(container_id: str, found: dict[str, Any]) -> Stats | None:
    """None for what has ended meanwhile: the daemon then answers without numbers."""
    memory, cpu = found.get("memory_stats") or {}, found.get("cpu_stats") or {}
    if not memory.get("usage"):
        return None
    details = memory.get("stats") or {}
    usage = int(memory["usage"])
    idle = int(details.get("total_inactive_file", details.get("inactive_file", 0)))
    return Stats(
        id=container_id,
        timestamp=nanoseconds(found["read"]),
        cpu_nanos=int(cpu["cpu_usage"]["total_usage"]),
        memory_working_set=max(0, usage - idle),
        memory_usage=usage,
        pids=int((found.get("pids_stats") or {}).get("current", 0)),
    )

"""``bareboat-cni``: the executable that a container runtime calls as a CNI binary. Any of our networks, without a cluster.

In: the verb in CNI_COMMAND with what it is about beside it, the configuration on stdin. Out: the result or the error as JSON on stdout.
A fresh process for every call: what a verb does not need is not imported.
"""

from __future__ import annotations

import os
import sys
from typing import Any

#: Where the networks keep their books; each has a directory of its own.
STATE = "/var/lib/bareboat/cni"
SUPPORTED = ("0.3.1", "0.4.0", "1.0.0", "1.1.0")


class Refused(Exception):
    """A call that the specification has a code for."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def main() -> int:
    import msgspec

    version = "1.0.0"
    try:
        config = _config(sys.stdin.buffer.read())
        version = str(config.get("cniVersion", version))
        answer = _answer(os.environ, config, version)
    except Refused as error:
        answer, code = {"cniVersion": version, "code": error.code, "msg": error.message}, 1
    except Exception as error:  # noqa: BLE001  the caller reads JSON: whatever went wrong is told there
        from bareboat_cni_exec import translate

        answer, code = translate.error_json(error, version), 1
    else:
        code = 0
    if answer is not None:
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.flush()
    return code


def _config(text: bytes) -> dict[str, Any]:
    import msgspec

    if not text.strip():
        return {}
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Refused(6, f"the configuration on stdin: {error}") from error
    if not isinstance(found, dict):
        raise Refused(6, "the configuration on stdin is no object")
    return found


def _answer(environment: Any, config: dict[str, Any], version: str) -> dict[str, Any] | None:
    command = environment.get("CNI_COMMAND", "")
    if command == "VERSION":
        return {"cniVersion": SUPPORTED[-1], "supportedVersions": list(SUPPORTED)}
    if version not in SUPPORTED:
        raise Refused(1, f"cniVersion {version} is not one of {', '.join(SUPPORTED)}")
    needs = {"ADD": ("CONTAINERID", "NETNS", "IFNAME"), "CHECK": ("CONTAINERID", "NETNS", "IFNAME"), "DEL": ("CONTAINERID", "IFNAME")}
    if command not in (*needs, "GC", "STATUS"):
        raise Refused(4, f"CNI_COMMAND {command!r} is not ADD, DEL, CHECK, GC, STATUS or VERSION")
    missing = [f"CNI_{word}" for word in needs.get(command, ()) if not environment.get(f"CNI_{word}")]
    if missing:
        raise Refused(4, f"required: {', '.join(missing)}")
    from bareboat_cni_exec.served import Call, serve

    about = {word.lower(): environment.get(f"CNI_{word}", "") for word in ("CONTAINERID", "NETNS", "IFNAME")}
    call = Call(command=command, config=config, version=version, **about)
    return serve(call, environment.get("BAREBOAT_CNI_STATE") or STATE)

"""What a changed cluster file would change in a cluster that runs, before anything is touched.

In: the file in force and the new one. Out: ``Change`` by change, each with what it takes: nothing but the server's attention (live), a new
server process, new agents (containers go on), or a new cluster, which is a refusal. Pure; applying it is ``cluster.up``'s.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bareboat.cluster.file.shape import ClusterFile

Effect = Literal["live", "server", "nodes", "refused"]
#: What is done, in words.
MEANING: dict[str, str] = {
    "live": "taken over by the running server",
    "server": "the server is started anew; pods and nodes go on",
    "nodes": "the agents are started anew; containers go on",
    "refused": "cannot be changed in a cluster that has data: make a new one",
}
_REFUSED = ("name", "kind", "store.use", "networking.podCIDR", "networking.serviceCIDR", "networking.domain")
_LIVE = ("scheduling", "admission")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """``path`` in the file; ``before`` and ``after`` as they are written there, None for what is not."""

    path: str
    before: Any
    after: Any
    effect: Effect


def changes(old: ClusterFile, new: ClusterFile) -> list[Change]:
    """In the order of the file."""
    found: list[Change] = []
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    for field in before:
        _compare(field, before[field], after[field], found)
    return found


def _compare(path: str, before: Any, after: Any, found: list[Change]) -> None:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict) and set(before) == set(after):
        for key in before:
            _compare(f"{path}.{key}", before[key], after[key], found)
        return
    found.append(Change(path=path, before=before, after=after, effect=_effect(path, before, after)))


def _effect(path: str, before: Any, after: Any) -> Effect:
    if path in _REFUSED:
        return "refused"
    if path in _LIVE:
        return "live"
    if path.split(".")[0] in ("node", "nodes"):
        return "nodes"
    return "live" if path == "plugins" and _same_plugins(before, after) else "server"


def _same_plugins(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> bool:
    """Other options for the code that is loaded already; other code needs a new process."""
    return {(p["use"], p["dist"]) for p in before} == {(p["use"], p["dist"]) for p in after}


def shown(change: Change) -> str:
    """One line."""
    return f"{change.path}: {_brief(change.before)} → {_brief(change.after)} ({MEANING[change.effect]})"


def _brief(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(v, dict) and "use" in v for v in value):
        parts = [_brief_use(v) for v in value]
        return f"[{', '.join(parts)}]"
    return str(value)


def _brief_use(entry: dict[str, Any]) -> str:
    more = {k: v for k, v in entry.items() if k != "use" and v not in ("", {}, [], 1)}
    return f"{entry['use']} {more}" if more else str(entry["use"])

"""Discovery: which groups, versions and resources there are, in the legacy form (one document per path) and aggregated.

In: a scheme. Out: JSON trees. The aggregated form is what current clients ask for, by an Accept header with
``as=APIGroupDiscoveryList``.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from bareboat.api.request import ApiRequest
from bareboat.models.scheme import Resource, Scheme, priority

Tree = dict[str, Any]
Remote = dict[tuple[str, str], list[Tree]]


def document(scheme: Scheme, request: ApiRequest, address: str, remote: Remote) -> Tree | None:
    """The document at a discovery path; None if the path is none. ``address`` is where the server is reached.

    ``remote``: resources of other servers by group and version. Their own documents are theirs to answer.
    """
    parts = [p for p in request.path.split("/") if p]
    if parts[:1] == ["api"]:
        if len(parts) == 1:
            return _aggregated(scheme, core=True) if aggregated(request) else _versions(address)
        return _resources(scheme, "", parts[1]) if len(parts) == 2 else None
    if parts[:1] != ["apis"]:
        return None
    if len(parts) == 1:
        return _with_remote(_aggregated(scheme, core=False), remote) if aggregated(request) else _groups(scheme, remote)
    if len(parts) == 2:
        return _group(scheme, parts[1], remote)
    return _resources(scheme, parts[1], parts[2]) if len(parts) == 3 else None


def aggregated(request: ApiRequest) -> str:
    """The version of the aggregated form that the client accepts first ("v2", "v2beta1"), or ""."""
    for clause in request.accept.split(","):
        if "as=APIGroupDiscoveryList" in clause and "g=apidiscovery.k8s.io" in clause:
            return "v2" if "v=v2;" in clause + ";" else ""
        if clause.strip().split(";")[0] in ("application/json", "*/*"):
            return ""
    return ""


def content_type(version: str) -> str:
    return f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" if version else "application/json"


def _by_group(scheme: Scheme) -> dict[str, dict[str, list[Resource]]]:
    groups: dict[str, dict[str, list[Resource]]] = {}
    mixed: set[str] = set()
    for resource in scheme.resources():
        groups.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
        if resource.custom:
            mixed.add(resource.group)
    for name in mixed:  # definitions come in any order; their versions have one
        groups[name] = {v: groups[name][v] for v in sorted(groups[name], key=priority, reverse=True)}
    return groups


def _versions(address: str) -> Tree:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def _groups(scheme: Scheme, remote: Remote) -> Tree:
    groups = [_group_tree(name, versions) for name, versions in _names(scheme, remote).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _names(scheme: Scheme, remote: Remote) -> dict[str, list[str]]:
    """Groups and their versions, those of other servers last."""
    found = {name: list(versions) for name, versions in _by_group(scheme).items()}
    for group, version in remote:
        found.setdefault(group, []).append(version)
    return found


def _group_tree(name: str, versions: list[str]) -> Tree:
    listed = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _group(scheme: Scheme, name: str, remote: Remote) -> Tree | None:
    versions = _names(scheme, remote).get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group_tree(name, versions)} if versions else None


def _resources(scheme: Scheme, group: str, version: str) -> Tree | None:
    found = _by_group(scheme).get(group, {}).get(version)
    if found is None:
        return None
    listed = [entry for resource in sorted(found, key=lambda r: r.plural) for entry in _legacy(scheme, resource)]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _legacy(scheme: Scheme, resource: Resource) -> list[Tree]:
    main: Tree = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        main["shortNames"] = list(resource.short_names)
    if resource.categories:
        main["categories"] = list(resource.categories)
    if "watch" in resource.verbs:  # what is not stored cannot be watched
        main["storageVersionHash"] = _hash(scheme.storage(resource.group, resource.plural))
    entries = [main]
    for name, sub in sorted(resource.subresources.items()):
        entry: Tree = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
        if (sub.group, sub.version) != (resource.group, resource.version):
            entry |= {"group": sub.group, "version": sub.version}
        entries.append({**entry, "kind": sub.kind, "verbs": list(sub.verbs)})
    return entries


def _hash(stored: Resource) -> str:
    """Of the version in which objects are stored: who moves them to a new one sees that there is one."""
    digest = hashlib.sha256(f"{stored.group}/{stored.version}/{stored.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _aggregated(scheme: Scheme, *, core: bool) -> Tree:
    items = []
    for name, versions in _by_group(scheme).items():
        if (name == "") is not core:
            continue
        listed = [
            {"version": v, "resources": [_modern(r) for r in sorted(found, key=lambda r: r.plural)], "freshness": "Current"}
            for v, found in versions.items()
        ]
        items.append({"metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None}, "versions": listed})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _with_remote(tree: Tree, remote: Remote) -> Tree:
    """The aggregated document with what other servers' legacy lists say."""
    by_name = {item["metadata"].get("name"): item for item in tree["items"]}
    for (group, version), listed in remote.items():
        item = by_name.get(group)
        if item is None:
            item = by_name[group] = {"metadata": {"name": group, "creationTimestamp": None}, "versions": []}
            tree["items"].append(item)
        item["versions"].append({"version": version, "resources": _from_legacy(group, version, listed), "freshness": "Current"})
    return tree


def _from_legacy(group: str, version: str, listed: list[Tree]) -> list[Tree]:
    found: dict[str, Tree] = {}
    for entry in listed:
        plural, _, part = entry["name"].partition("/")
        kind = {"group": entry.get("group", group), "version": entry.get("version", version), "kind": entry["kind"]}
        if part:
            below = {"subresource": part, "responseKind": kind, "verbs": entry.get("verbs", [])}
            found.setdefault(plural, {}).setdefault("subresources", []).append(below)
            continue
        found.setdefault(plural, {}).update(
            {
                "resource": plural,
                "responseKind": kind,
                "scope": "Namespaced" if entry.get("namespaced") else "Cluster",
                "singularResource": entry.get("singularName", ""),
                "verbs": entry.get("verbs", []),
                **{k: entry[k] for k in ("shortNames", "categories") if entry.get(k)},
            }
        )
    return [found[name] for name in sorted(found) if "resource" in found[name]]


def _modern(resource: Resource) -> Tree:
    entry: Tree = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": name,
                "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind},
                "verbs": list(sub.verbs),
            }
            for name, sub in sorted(resource.subresources.items())
        ]
    return entry

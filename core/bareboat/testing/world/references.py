"""How a test names objects: ``deployment/web``, ``deploy/web``, ``pods -l app=web``, ``boats.sea.dev/argo``, ``pod/kube-system/x``.

In: the text and the kinds that are served now. Out: a ``Reference``. A kind may be written as plural, singular, short name or Kind,
with its group behind a dot if two have the same name.
"""

from __future__ import annotations

import shlex

import msgspec

from bareboat.models.scheme import Resource, Scheme


class Reference(msgspec.Struct, frozen=True):
    """One object if ``name`` is there, else all that the selectors select. ``namespace`` "" is all of them, and what cluster-wide
    kinds have."""

    resource: Resource
    name: str = ""
    namespace: str = ""
    labels: str = ""
    fields: str = ""

    @property
    def path(self) -> str:
        collection = f"{self.resource.path_prefix}/{self.resource.plural}"
        if self.resource.namespaced and self.namespace:
            collection = f"{self.resource.path_prefix}/namespaces/{self.namespace}/{self.resource.plural}"
        return f"{collection}/{self.name}" if self.name else collection

    @property
    def query(self) -> dict[str, str]:
        found = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {k: v for k, v in found.items() if v}


def kind_of(scheme: Scheme, word: str) -> Resource:
    """Raises LookupError that lists what there is."""
    name, _, group = word.lower().partition(".")
    found = [r for r in scheme.resources() if name in (r.plural, r.singular, r.kind.lower(), *r.short_names)]
    chosen = [r for r in found if not group or r.group == group or group.startswith(f"{r.version}.")]
    if not chosen:
        known = ", ".join(sorted({r.plural for r in scheme.resources()}))
        raise LookupError(f"nobody serves {word!r}; served are: {known}")
    return scheme.versions(chosen[0].group, chosen[0].plural)[0]


def parse(scheme: Scheme, text: str, namespace: str) -> Reference:
    """``namespace`` where the text names none. Raises LookupError, ValueError."""
    words = shlex.split(text)
    if not words:
        raise ValueError("a reference is empty; write for example deployment/web or pods -l app=web")
    head, options = words[0], _options(words[1:], text)
    kind, *names = head.split("/")
    resource = kind_of(scheme, kind)
    space = options.get("-n", namespace)
    if len(names) == 2:
        space = names[0]
    if len(names) > 2 or (names and not names[-1]):
        raise ValueError(f"{text!r} is no reference; write KIND/NAME, KIND/NAMESPACE/NAME or KIND -l SELECTOR")
    if "-A" in options or not resource.namespaced:
        space = ""
    return Reference(resource, names[-1] if names else "", space, options.get("-l", ""), options.get("--field-selector", ""))


def _options(words: list[str], text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word == "-A":
            found[word] = ""
        elif word in ("-l", "-n", "--field-selector"):
            found[word] = next(rest, "")
        else:
            raise ValueError(f"{text!r}: {word!r} is not known here; known are -l SELECTOR, -n NAMESPACE, --field-selector SELECTOR, -A")
    return found

"""Names of drivers, pools, devices and their attributes; lists with a limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bareboat.api.kinds.causes import duplicate, each, invalid, required, too_long, too_many, unsupported
from bareboat.api.kinds.expressions.rules import expression
from bareboat.models.names import c_identifier, dns1123_label, dns1123_subdomain, label_value, qualified_name
from bareboat.models.status import Cause

LONGEST_ID, _LONGEST_DRIVER, _LONGEST_POOL = 32, 63, 253
_LONGEST_EXPRESSION = 10 * 1024
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_PARAMETERS = 10 * 1024


def label(field: str, name: str) -> list[Cause]:
    """Of requests and devices."""
    return each(field, name, dns1123_label(name)) if name else [required(field)]


def driver(field: str, name: str) -> list[Cause]:
    if not name:
        return [required(field)]
    causes = [too_long(field, _LONGEST_DRIVER)] if len(name) > _LONGEST_DRIVER else []
    return causes + each(field, name, dns1123_subdomain(name.lower()))


def pool(field: str, name: str) -> list[Cause]:
    if not name:
        return [required(field)]
    causes = [too_long(field, _LONGEST_POOL)] if len(name) > _LONGEST_POOL else []
    return causes + [cause for part in name.split("/") for cause in each(field, part, dns1123_subdomain(part))]


def attribute(field: str, name: str, *, full: bool = False) -> list[Cause]:
    """An identifier, with a domain before it if it is not the driver's own."""
    domain, slash, identifier = name.partition("/")
    if "/" in identifier:
        return [invalid(field, name, "must not contain more than one slash")]
    if not slash:
        causes = _identifier(field, domain)
        return (
            [*causes, invalid(field, name, "a fully qualified name must be a domain and a name separated by a slash")] if full else causes
        )
    causes = driver(field, domain) if domain else [invalid(field, "", "the domain must not be empty")]
    return causes + (_identifier(field, identifier) if identifier else [invalid(field, "", "the name must not be empty")])


def _identifier(field: str, name: str) -> list[Cause]:
    causes = [too_long(field, LONGEST_ID)] if len(name) > LONGEST_ID else []
    return causes + each(field, name, c_identifier(name))


def limited(
    items: list[Any], limit: int, field: str, check: Callable[[Any, str], list[Cause]], key: Callable[[Any], Any] | None = None
) -> list[Cause]:
    """Too many are not looked at; ``key`` tells items apart that must differ."""
    if len(items) > limit:
        return [too_many(field, len(items), limit)]
    causes = [cause for i, item in enumerate(items) for cause in check(item, f"{field}[{i}]")]
    seen: set[Any] = set()
    for i, item in enumerate(items if key is not None else ()):
        name = key(item) if key is not None else None
        if name in seen:
            causes.append(duplicate(f"{field}[{i}]", name))
        seen.add(name)
    return causes


def selector(item: Any, at: str) -> list[Cause]:
    if item.cel is None:
        return [required(f"{at}.cel")]
    text, field = item.cel.expression, f"{at}.cel.expression"
    if len(text.encode()) > _LONGEST_EXPRESSION:
        return [too_long(field, _LONGEST_EXPRESSION)]
    return expression(field, text, ("device",))


def opaque(config: Any, at: str) -> list[Cause]:
    """Parameters that only the driver understands."""
    if config.opaque is None:
        return [required(f"{at}.opaque")]
    parameters, field = config.opaque.parameters, f"{at}.opaque.parameters"
    causes = driver(f"{at}.opaque.driver", config.opaque.driver)
    if parameters is None or parameters == {}:
        return causes + ([required(field)] if parameters is None else [])
    if not isinstance(parameters, dict):
        return [*causes, invalid(field, "<value omitted>", "must be a valid JSON object")]
    return causes + ([too_long(field, _PARAMETERS)] if len(str(parameters)) > _PARAMETERS else [])


def taint(item: Any, at: str) -> list[Cause]:
    causes = each(f"{at}.key", item.key, qualified_name(item.key))
    causes += each(f"{at}.value", item.value, label_value(item.value))
    if not item.effect:
        causes.append(required(f"{at}.effect"))
    elif item.effect not in _EFFECTS:
        causes.append(unsupported(f"{at}.effect", item.effect, _EFFECTS))
    return causes


def toleration(item: Any, at: str) -> list[Cause]:
    causes = each(f"{at}.key", item.key, qualified_name(item.key)) if item.key else []
    if item.operator == "Exists":
        causes += [invalid(f"{at}.value", item.value, "must be empty for operator `Exists`")] if item.value else []
    elif item.operator == "Equal":
        causes += each(f"{at}.value", item.value, label_value(item.value))
    else:
        field = f"{at}.operator"
        causes.append(unsupported(field, item.operator, ("Equal", "Exists")) if item.operator else required(field))
    if item.effect and item.effect not in _EFFECTS:
        causes.append(unsupported(f"{at}.effect", item.effect, _EFFECTS))
    return causes


def bindings(item: Any, at: str) -> list[Cause]:
    """Conditions under which a device is bound, and under which it failed to be."""
    good, bad = item.bindingConditions, item.bindingFailureConditions
    causes: list[Cause] = []
    for name, listed in (("bindingConditions", good), ("bindingFailureConditions", bad)):
        causes += limited(listed, 4, f"{at}.{name}", lambda text, field: each(field, text, qualified_name(text)), lambda text: text)
    causes += [
        invalid(f"{at}.bindingFailureConditions[{i}]", name, "bindingFailureConditions must not overlap with bindingConditions")
        for i, name in enumerate(bad)
        if name in good
    ]
    if bad and not good:
        causes.append(invalid(f"{at}.bindingConditions", good, "bindingConditions are required to use bindingFailureConditions"))
    if good and not bad:
        message = "bindingFailureConditions are required to use bindingConditions"
        causes.append(invalid(f"{at}.bindingFailureConditions", bad, message))
    return causes

"""ValidatingWebhookConfiguration and MutatingWebhookConfiguration."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from bareboat.api.kinds.admissionregistration.matching import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    default_rules,
    validate_conditions,
    validate_rule,
)
from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.causes import each, invalid, one_of, required, unique, unsupported
from bareboat.api.kinds.selectors import validate_selector
from bareboat.api.strategy import Strategy
from bareboat.models import admissionregistration_v1, meta_v1
from bareboat.models.names import dns1035_label, dns1123_label, dns1123_subdomain
from bareboat.models.status import Cause

_VERSIONS = ("v1", "v1beta1")
_NO_EFFECTS = ("None", "NoneOnDryRun")
_FORM = "desired format: https://host[/path]"


class WebhooksStrategy(KindStrategy):
    allow_unconditional_update = False

    def default(self, obj: Any) -> None:
        for hook in obj.webhooks:
            hook.failurePolicy = "Fail" if hook.failurePolicy is None else hook.failurePolicy
            hook.matchPolicy = "Equivalent" if hook.matchPolicy is None else hook.matchPolicy
            hook.timeoutSeconds = 10 if hook.timeoutSeconds is None else hook.timeoutSeconds
            hook.namespaceSelector = hook.namespaceSelector or meta_v1.LabelSelector()
            hook.objectSelector = hook.objectSelector or meta_v1.LabelSelector()
            if isinstance(hook, admissionregistration_v1.MutatingWebhook):
                hook.reinvocationPolicy = "Never" if hook.reinvocationPolicy is None else hook.reinvocationPolicy
            if hook.clientConfig.service is not None and hook.clientConfig.service.port is None:
                hook.clientConfig.service.port = 443
            default_rules(hook.rules)

    def validate_create(self, obj: Any) -> list[Cause]:
        causes: list[Cause] = []
        names: set[str] = set()
        for i, hook in enumerate(obj.webhooks):
            at = f"webhooks[{i}]"
            causes += _hook(hook, at) + _review_versions(hook.admissionReviewVersions, f"{at}.admissionReviewVersions")
            causes += unique(f"{at}.name", hook.name, names) if hook.name else []
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


def _hook(hook: Any, at: str) -> list[Cause]:
    causes = fully_qualified(f"{at}.name", hook.name)
    causes += [cause for i, rule in enumerate(hook.rules) for cause in validate_rule(rule, f"{at}.rules[{i}]")]
    causes += one_of(f"{at}.failurePolicy", hook.failurePolicy, FAILURE_POLICIES)
    causes += one_of(f"{at}.matchPolicy", hook.matchPolicy, MATCH_POLICIES)
    if hook.sideEffects is None:
        causes.append(required(f"{at}.sideEffects", "must specify one of None, NoneOnDryRun"))
    elif hook.sideEffects not in _NO_EFFECTS:
        causes.append(unsupported(f"{at}.sideEffects", hook.sideEffects, _NO_EFFECTS))
    if not 1 <= hook.timeoutSeconds <= 30:
        causes.append(invalid(f"{at}.timeoutSeconds", hook.timeoutSeconds, "the timeout value must be between 1 and 30 seconds"))
    for name in ("namespaceSelector", "objectSelector"):
        causes += validate_selector(getattr(hook, name), f"{at}.{name}")
    policy = getattr(hook, "reinvocationPolicy", None)
    if policy is not None:
        causes += one_of(f"{at}.reinvocationPolicy", policy, ("IfNeeded", "Never"))
    return causes + _client(hook.clientConfig, f"{at}.clientConfig") + validate_conditions(hook.matchConditions, f"{at}.matchConditions")


def fully_qualified(field: str, name: str) -> list[Cause]:
    """A domain with three segments at least."""
    if not name:
        return [required(field)]
    causes = each(field, name, dns1123_subdomain(name))
    if not causes and name.count(".") < 2:
        causes.append(invalid(field, name, "should be a domain with at least three segments separated by dots"))
    return causes


def _review_versions(versions: list[str], field: str) -> list[Cause]:
    if not versions:
        return [required(field, f"must specify one of {', '.join(_VERSIONS)}")]
    causes: list[Cause] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            causes.append(invalid(f"{field}[{i}]", version, "duplicate version"))
            continue
        causes += each(f"{field}[{i}]", version, dns1035_label(version))
    if not any(version in _VERSIONS for version in versions):
        causes.append(invalid(field, versions, f"must include at least one of {', '.join(_VERSIONS)}"))
    return causes


def _client(config: Any, at: str) -> list[Cause]:
    if (config.url is None) == (config.service is None):
        return [required(at, "exactly one of url or service is required")]
    return validate_url(config.url, f"{at}.url") if config.url is not None else validate_service(config.service, f"{at}.service")


def validate_url(url: str, field: str) -> list[Cause]:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return [required(field, f"url must be a valid URL: {error}; {_FORM}")]
    causes: list[Cause] = []
    if parts.scheme != "https":
        causes.append(invalid(field, parts.scheme, f"'https' is the only allowed URL scheme; {_FORM}"))
    if not parts.netloc:
        causes.append(invalid(field, parts.netloc, f"host must be specified; {_FORM}"))
    if "@" in parts.netloc:
        causes.append(invalid(field, parts.username or "", "user information is not permitted in the URL"))
    if parts.fragment:
        causes.append(invalid(field, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        causes.append(invalid(field, parts.query, "query parameters are not permitted in the URL"))
    return causes


def validate_service(service: Any, at: str) -> list[Cause]:
    causes = [required(f"{at}.{name}", f"service {name} is required") for name in ("name", "namespace") if not getattr(service, name)]
    if service.port is not None and not 1 <= service.port <= 65535:
        message = "port is not valid: must be between 1 and 65535, inclusive"
        causes.append(invalid(f"{at}.port", service.port, message))
    return causes + (_path(service.path, f"{at}.path") if service.path is not None else [])


def _path(path: str, field: str) -> list[Cause]:
    if path in ("", "/"):
        return []
    if path == "//":
        return [invalid(field, path, "segment[0] may not be empty")]
    if not path.startswith("/"):
        return [invalid(field, path, "must start with a '/'")]
    parts = path[1:].removesuffix("/").split("/")
    causes: list[Cause] = []
    for i, part in enumerate(parts):
        if not part:
            causes.append(invalid(field, path, f"segment[{i}] may not be empty"))
            continue
        failures = dns1123_label(part) and dns1123_subdomain(part)
        causes += [invalid(field, path, f"segment[{i}]: {fault}") for fault in failures]
    return causes


_PREFIX = "admissionregistration.k8s.io"
STRATEGIES: dict[str, type[Strategy]] = {
    f"{_PREFIX}/mutatingwebhookconfigurations": WebhooksStrategy,
    f"{_PREFIX}/validatingwebhookconfigurations": WebhooksStrategy,
}

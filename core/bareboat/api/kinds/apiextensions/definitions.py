"""CustomResourceDefinition: names, versions, columns, subresources, conversion.

Upstream checks its internal form, where what all versions share stands above them; the paths of faults tell.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from bareboat.api.kinds.admissionregistration.webhooks import validate_service, validate_url
from bareboat.api.kinds.apiextensions.costs import priced_rules
from bareboat.api.kinds.apiextensions.schemas import DEEPEST, too_deep, validate_schema
from bareboat.api.kinds.apiextensions.structure import validate_structure
from bareboat.api.kinds.base import KindStrategy
from bareboat.api.kinds.causes import choice, each, forbidden, immutable, invalid, required
from bareboat.api.strategy import StatusAlone, Strategy, WriteContext
from bareboat.models import apiextensions_v1 as v1
from bareboat.models.meta import set_condition
from bareboat.models.names import dns1035_label, dns1123_subdomain
from bareboat.models.status import Cause

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("int32", "int64", "float", "double", "byte", "date", "date-time", "password")
_APPROVED = "api-approved.kubernetes.io"
_REVIEWS = ("v1", "v1beta1")
#: Holds a definition until its objects are gone.
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_MARKED = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
_ROOT = ("type", "properties", "required", "title", "description", "x_kubernetes_preserve_unknown_fields", "x_kubernetes_validations")
_GONE = (
    "missing from spec.versions; {0} was previously a storage version, and must remain in spec.versions until a storage migration "
    "ensures no data remains persisted in {0} and removes {0} from status.storedVersions"
)


class DefinitionStrategy(KindStrategy):
    allow_unconditional_update = False
    subresources = {"status": StatusAlone()}
    known_finalizers = False

    def default(self, obj: Any) -> None:
        spec, names = obj.spec, obj.spec.names
        names.singular = names.singular or names.kind.lower()
        names.listKind = names.listKind or (names.kind + "List" if names.kind else "")
        if spec.conversion is None:
            spec.conversion = v1.CustomResourceConversion(strategy="None")
        client = spec.conversion.webhook.clientConfig if spec.conversion.webhook is not None else None
        if client is not None and client.service is not None and client.service.port is None:
            client.service.port = 443

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        super().prepare_create(obj, ctx)
        stored = next((version.name for version in obj.spec.versions if version.storage), None)
        obj.status.storedVersions = [] if stored is None else [stored]

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        super().prepare_update(new, old, ctx)
        stored = [version.name for version in new.spec.versions if version.storage and version.name not in new.status.storedVersions]
        if stored:
            new.status = type(old.status)(
                conditions=old.status.conditions,
                acceptedNames=old.status.acceptedNames,
                storedVersions=[*old.status.storedVersions, stored[0]],
            )

    def prepare_delete(self, obj: Any, ctx: WriteContext) -> None:
        """Its objects go first."""
        if CLEANUP not in obj.metadata.finalizers:
            obj.metadata.finalizers = [*obj.metadata.finalizers, CLEANUP]
        condition = v1.CustomResourceDefinitionCondition
        set_condition(obj.status.conditions, "Terminating", "True", "InstanceDeletionPending", _MARKED, ctx.now, cls=condition)

    def validate_create(self, obj: Any) -> list[Cause]:
        return _name(obj) + _spec(obj.spec) + _stored(obj) + _approval(obj)

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = _spec(new.spec) + _stored(new)
        if any(c.type == "Established" and c.status == "True" for c in old.status.conditions):
            causes += immutable("spec.scope", new.spec.scope, old.spec.scope)
            causes += immutable("spec.names.kind", new.spec.names.kind, old.spec.names.kind)
        causes += immutable("spec.group", new.spec.group, old.spec.group)
        return causes + immutable("spec.names.plural", new.spec.names.plural, old.spec.names.plural)

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return []


def _name(obj: Any) -> list[Cause]:
    name = obj.metadata.name
    if not name or name == f"{obj.spec.names.plural}.{obj.spec.group}":
        return []
    return [invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')]


def _spec(spec: Any) -> list[Cause]:
    causes = _group(spec.group) + choice("spec.scope", spec.scope, ("Cluster", "Namespaced"))
    causes += _versions(spec.versions) + _names(spec.names, "spec.names")
    if spec.preserveUnknownFields:
        message = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        causes.append(invalid("spec.preserveUnknownFields", True, message))
    causes += _parts(spec)
    return causes + _conversion(spec.conversion, "spec.conversion")


def _group(group: str) -> list[Cause]:
    field = "spec.group"
    if not group:
        return [required(field)]
    faults = dns1123_subdomain(group)
    if faults:
        return [invalid(field, group, ",".join(faults))]
    return [] if "." in group else [invalid(field, group, "should be a domain with at least one dot")]


def _versions(versions: list[Any]) -> list[Cause]:
    causes: list[Cause] = []
    names = [version.name for version in versions]
    for i, version in enumerate(versions):
        faults = dns1035_label(version.name)
        causes += [invalid(f"spec.versions[{i}].name", version.name, ",".join(faults))] if faults else []
        causes += _deprecation(version, f"spec.versions[{i}].deprecationWarning")
    if len(set(names)) != len(names):
        causes.append(invalid("spec.versions", versions or None, "must contain unique version names"))
    if sum(version.storage for version in versions) != 1:
        causes.append(invalid("spec.versions", versions or None, "must have exactly one version marked as storage version"))
    first = versions[0].name if versions else ""
    faults = dns1035_label(first) if first else []
    return causes + ([invalid("spec.version", first, ",".join(faults))] if faults else [])


def _deprecation(version: Any, field: str) -> list[Cause]:
    text = version.deprecationWarning
    if text is None:
        return []
    if not version.deprecated:
        return [invalid(field, text, "can only be set for deprecated versions")]
    if not text:
        return [invalid(field, text, "must not be an empty string")]
    if len(text) > 256:
        return [invalid(field, text, "must be <= 256 characters long")]
    return (
        [] if text.isprintable() else [invalid(field, text, "must only contain printable UTF-8 characters; non-printable character found")]
    )


def _names(names: Any, at: str) -> list[Cause]:
    causes = [required(f"{at}.{name}") for name in ("plural", "singular", "kind", "listKind") if not getattr(names, name)]
    for name in ("plural", "singular"):
        value = getattr(names, name)
        faults = dns1035_label(value) if value else []
        causes += [invalid(f"{at}.{name}", value, ",".join(faults))] if faults else []
    for name in ("kind", "listKind"):
        value = getattr(names, name)
        faults = dns1035_label(value.lower()) if value else []
        mixed = "may have mixed case, but should otherwise match: " + ",".join(faults)
        causes += [invalid(f"{at}.{name}", value, mixed)] if faults else []
    for name in ("shortNames", "categories"):
        for i, value in enumerate(getattr(names, name)):
            faults = dns1035_label(value)
            causes += [invalid(f"{at}.{name}[{i}]", value, ",".join(faults))] if faults else []
    if names.kind and names.kind == names.listKind:
        causes.append(invalid(f"{at}.listKind", names.listKind, "kind and listKind may not be the same"))
    return causes


def _parts(spec: Any) -> list[Cause]:
    """Of the versions; what is the same in all of them is checked once, under its name above them."""
    causes: list[Cause] = []
    for attribute, shared, own, check in _PARTS:
        values = [getattr(version, attribute) for version in spec.versions]
        if values and all(value == values[0] for value in values):
            causes += check(values[0], f"spec.{shared}", spec.versions[0])
        else:
            for i, version in enumerate(spec.versions):
                causes += check(values[i], f"spec.versions[{i}].{own}", version)
    schemas = [version.schema for version in spec.versions]
    missing = [i for i, schema in enumerate(schemas) if schema is None or schema.openAPIV3Schema is None]
    return causes + [required(f"spec.versions[{i}].schema.openAPIV3Schema") for i in missing]


def _schema(validation: Any, at: str, version: Any) -> list[Cause]:
    if validation is None or validation.openAPIV3Schema is None:
        return []
    schema, where = validation.openAPIV3Schema, f"{at}.openAPIV3Schema"
    if too_deep(schema):
        return [invalid(where, {}, f"must not be nested more than {DEEPEST} levels deep")]
    causes: list[Cause] = []
    if version.subresources is not None and version.subresources.status is not None:
        kept = {name: getattr(schema, name) for name in _ROOT}
        if schema != type(schema)(**kept):
            listed = ", ".join(f'"{n.replace("_", "-")}"' for n in _ROOT)
            message = f"only [{listed}] fields are allowed at the root of the schema if the status subresource is enabled"
            causes.append(invalid(where, {}, message))
    causes += validate_schema(schema, where, root=True) + validate_structure(schema, where)
    return causes + priced_rules(schema, where, causes)


def _columns(columns: list[Any], at: str, version: Any) -> list[Cause]:
    causes: list[Cause] = []
    listed = ",".join(_COLUMN_TYPES)
    for i, column in enumerate(columns):
        where = f"{at}[{i}]"
        if not column.name:
            causes.append(required(f"{where}.name"))
        if not column.type:
            causes.append(required(f"{where}.type", f"must be one of {listed}"))
        elif column.type not in _COLUMN_TYPES:
            causes.append(invalid(f"{where}.type", column.type, f"must be one of {listed}"))
        if column.format and column.format not in _COLUMN_FORMATS:
            causes.append(invalid(f"{where}.format", column.format, f"must be one of {','.join(_COLUMN_FORMATS)}"))
        path = column.jsonPath
        causes += json_path(f"{where}.JSONPath", path) if path else [required(f"{where}.JSONPath")]
    return causes


def json_path(field: str, path: str) -> list[Cause]:
    if path.startswith("["):
        return []
    return [] if path.startswith(".") else [invalid(field, path, "must be a simple json path starting with .")]


def _subresources(subresources: Any, at: str, version: Any) -> list[Cause]:
    scale = subresources.scale if subresources is not None else None
    if scale is None:
        return []
    causes: list[Cause] = []
    for name, under in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status"), ("labelSelectorPath", "")):
        path, field = getattr(scale, name), f"{at}.scale.{name}"
        if not path:
            causes += [required(field)] if under else []
            continue
        faults = json_path(field, path)
        wanted = (under,) if under else (".spec", ".status")
        if not faults and not path.startswith(tuple(f"{w}." for w in wanted)):
            faults = [
                invalid(
                    field,
                    path,
                    f"should be a json path under {' or '.join(wanted)}"
                    if under
                    else "should be a json path under either .spec or .status",
                )
            ]
        causes += faults
    return causes


def _selectable(fields: list[Any], at: str, version: Any) -> list[Cause]:
    if len(fields) > 8:
        return [Cause("FieldValueTooMany", f"Too many: {len(fields)}: must have at most 8 items", at)]
    causes: list[Cause] = []
    seen: set[str] = set()
    for i, selected in enumerate(fields):
        field, path = f"{at}[{i}].jsonPath", selected.jsonPath
        if not path:
            causes.append(required(field))
        elif path in seen:
            causes.append(Cause("FieldValueDuplicate", f'Duplicate value: "{path}"', field))
        else:
            causes += json_path(field, path)
        seen.add(path)
    return causes


_PARTS: tuple[tuple[str, str, str, Any], ...] = (
    ("schema", "validation", "schema", _schema),
    ("subresources", "subresources", "subresources", _subresources),
    ("additionalPrinterColumns", "additionalPrinterColumns", "additionalPrinterColumns", _columns),
    ("selectableFields", "selectableFields", "selectableFields", _selectable),
)


def _conversion(conversion: Any, at: str) -> list[Cause]:
    if conversion is None:
        return []
    hook = conversion.webhook
    causes = choice(f"{at}.strategy", conversion.strategy, ("None", "Webhook"))
    if conversion.strategy != "Webhook":
        held = hook is not None and hook.clientConfig is not None
        words = "should not be set when strategy is not set to Webhook"
        causes += [forbidden(f"{at}.webhookClientConfig", words)] if held else []
        if hook is not None and hook.conversionReviewVersions:
            causes.append(forbidden(f"{at}.conversionReviewVersions", words))
        return causes
    if hook is None or hook.clientConfig is None:
        causes.append(required(f"{at}.webhookClientConfig", "required when strategy is set to Webhook"))
    elif (hook.clientConfig.url is None) == (hook.clientConfig.service is None):
        causes.append(required(f"{at}.webhookClientConfig", "exactly one of url or service is required"))
    elif hook.clientConfig.url is not None:
        causes += validate_url(hook.clientConfig.url, f"{at}.webhookClientConfig.url")
    else:
        causes += validate_service(hook.clientConfig.service, f"{at}.webhookClientConfig.service")
    return causes + _reviews(hook.conversionReviewVersions if hook is not None else [], f"{at}.conversionReviewVersions")


def _reviews(versions: list[str], field: str) -> list[Cause]:
    if not versions:
        return [required(field)]
    causes: list[Cause] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            causes.append(invalid(f"{field}[{i}]", version, "duplicate version"))
            continue
        causes += each(f"{field}[{i}]", version, dns1035_label(version))
    if not any(version in _REVIEWS for version in versions):
        causes.append(invalid(field, versions, f"must include at least one of {', '.join(_REVIEWS)}"))
    return causes


def _stored(obj: Any) -> list[Cause]:
    field, stored = "status.storedVersions", obj.status.storedVersions
    if not stored:
        return [invalid(field, None, "must have at least one stored version")]
    names = {version.name for version in obj.spec.versions}
    causes = [invalid(f"{field}[{i}]", name, _GONE.format(name)) for i, name in enumerate(stored) if name not in names]
    for version in obj.spec.versions:
        if version.storage and version.name not in stored:
            causes.append(invalid(field, stored, f"must have the storage version {version.name}"))
    return causes


def _approval(obj: Any) -> list[Cause]:
    """Groups of the community need a link to who allowed them."""
    group = obj.spec.group
    if group not in ("k8s.io", "kubernetes.io") and not group.endswith((".k8s.io", ".kubernetes.io")):
        return []
    value, field = obj.metadata.annotations.get(_APPROVED), f"metadata.annotations[{_APPROVED}]"
    if not value:
        because = f'protected groups must have approval annotation "{_APPROVED}", see https://github.com/kubernetes/enhancements/pull/1111'
        return [required(field, because)]
    link = urlsplit(value)
    if value.startswith("unapproved") or (link.scheme and link.netloc):
        return []
    because = f'protected groups must have approval annotation "{_APPROVED}" with either a URL or a reason starting with "unapproved"'
    return [invalid(field, value, f"{because}, see https://github.com/kubernetes/enhancements/pull/1111")]


STRATEGIES: dict[str, type[Strategy]] = {"apiextensions.k8s.io/customresourcedefinitions": DefinitionStrategy}

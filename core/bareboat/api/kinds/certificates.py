"""CertificateSigningRequest."""

from __future__ import annotations

import base64
import re
from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import duplicate, forbidden, invalid, required, too_long, unsupported
from bareboat.api.kinds.names import path_segment
from bareboat.api.strategy import Strategy, SubresourceStrategy, WriteContext
from bareboat.models.names import dns1123_label, dns1123_subdomain
from bareboat.models.status import Cause

_USAGES = (
    *("any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only"),
    *("digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user"),
    *("key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing"),
    "timestamping",
)
_PEM = re.compile(rb"-----BEGIN ([^-]*)-----\s+(.*?)-----END \1-----", re.DOTALL)
_WRONG = "PEM block type must be CERTIFICATE REQUEST"
_SHORTEST = 600


class Approval(SubresourceStrategy):
    """``certificatesigningrequests/approval``: only the conditions."""

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        conditions = new.status.conditions
        super().prepare_update(new, old, ctx)
        new.status = type(old.status)(conditions=conditions, certificate=old.status.certificate)
        before = {c.type: c.status for c in old.status.conditions}
        for condition in new.status.conditions:
            condition.lastUpdateTime = condition.lastUpdateTime or ctx.now
            if before.get(condition.type) != condition.status:
                condition.lastTransitionTime = condition.lastTransitionTime or ctx.now

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return _conditions(new.status.conditions, old.status.conditions)


class SignerStatus(SubresourceStrategy):
    """Signers add certificates and failures; approvals stay."""

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        causes = _conditions(new.status.conditions, old.status.conditions) + _decided(new.status.conditions, old.status.conditions)
        if new.status.certificate:
            causes += _certificate(new.status.certificate)
        if old.status.certificate and new.status.certificate != old.status.certificate:
            causes.append(forbidden("status.certificate", "updates may not modify existing certificate content"))
        return causes


class SigningRequestStrategy(PlainStrategy):
    subresources = {"status": SignerStatus(), "approval": Approval()}
    selectable = {"spec.signerName": lambda csr: csr.spec.signerName}

    def validate_name(self, name: str) -> list[str]:
        return path_segment(name)

    def default(self, obj: Any) -> None:
        if not obj.spec.usages:
            obj.spec.usages = []

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        self.reset_status(obj)
        user = ctx.user
        obj.spec.username, obj.spec.uid = user.name, user.uid
        obj.spec.groups = list(user.groups)
        obj.spec.extra = {k: list(v) for k, v in user.extra.items()}

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        new.spec, new.status = old.spec, old.status

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        fault = _request_fault(spec.request)
        causes = [invalid("spec.request", spec.request or None, fault)] if fault else []
        causes += _usages(spec.usages)
        if spec.signerName == "kubernetes.io/legacy-unknown":
            message = "the legacy signerName is not allowed via this API version"
            causes.append(invalid("spec.signerName", spec.signerName, message))
        else:
            causes += signer_name("spec.signerName", spec.signerName)
        if spec.expirationSeconds is not None and spec.expirationSeconds < _SHORTEST:
            message = "may not specify a duration less than 600 seconds (10 minutes)"
            causes.append(invalid("spec.expirationSeconds", spec.expirationSeconds, message))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return []


def _request_fault(request: str) -> str:
    found = _PEM.search(base64.b64decode(request)) if request else None
    if found is None or found[1] != b"CERTIFICATE REQUEST":
        return _WRONG
    from cryptography import x509

    try:
        x509.load_der_x509_csr(base64.b64decode(found[2]))
    except ValueError as error:
        return f"asn1: {error}"
    return ""


def _usages(usages: list[str]) -> list[Cause]:
    if not usages:
        return [required("spec.usages")]
    causes: list[Cause] = []
    for i, usage in enumerate(usages):
        field = f"spec.usages[{i}]"
        if usage not in _USAGES:
            causes.append(unsupported(field, usage, sorted(_USAGES)))
        if usage in usages[:i]:
            causes.append(duplicate(field, usage))
    return causes


def signer_name(field: str, name: str) -> list[Cause]:
    """A domain and a path: example.com/signer-name."""
    if not name:
        return [required(field)]
    segments = name.split("/")
    if len(segments) != 2:
        return [invalid(field, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")]
    domain, path = segments
    causes = [too_long(field, 253)] if len(domain) > 253 else []
    for label in domain.split("."):
        causes += [invalid(field, domain, f'validating label "{label}": {fault}') for fault in dns1123_label(label)]
    if "." not in domain:
        causes.append(invalid(field, domain, "should be a domain with at least two segments separated by dots"))
    for label in path.split("."):
        causes += [invalid(field, path, f'validating label "{label}": {fault}') for fault in dns1123_subdomain(label)]
    return causes


def _conditions(new: list[Any], old: list[Any]) -> list[Cause]:
    """Approved or Denied, never both, and never taken back."""
    at = "status.conditions"
    causes: list[Cause] = []
    seen: set[str] = set()
    for i, condition in enumerate(new):
        where = f"{at}[{i}]"
        if not condition.type:
            causes.append(required(f"{where}.type"))
        if condition.type in ("Approved", "Denied", "Failed") and condition.status != "True":
            causes.append(unsupported(f"{where}.status", condition.status, ("True",)))
        elif condition.status not in ("False", "True", "Unknown"):
            causes.append(unsupported(f"{where}.status", condition.status, ("False", "True", "Unknown")))
        if condition.type in seen:
            causes.append(duplicate(f"{where}.type", condition.type))
        seen.add(condition.type)
        if {"Approved", "Denied"} <= seen and condition.type in ("Approved", "Denied"):
            causes.append(invalid(f"{where}.type", condition.type, "Approved and Denied conditions are mutually exclusive"))
    for kind in ("Approved", "Denied", "Failed"):
        if any(c.type == kind for c in old) and kind not in seen:
            causes.append(forbidden(at, f'updates may not remove a condition of type "{kind}"'))
    return causes


def _decided(new: list[Any], old: list[Any]) -> list[Cause]:
    """Only the approval endpoint decides."""
    causes: list[Cause] = []
    for kind in ("Approved", "Denied"):
        now, before = ([c for c in conditions if c.type == kind] for conditions in (new, old))
        if len(now) > len(before):
            causes.append(forbidden("status.conditions", f'updates may not add a condition of type "{kind}"'))
        elif len(now) == len(before) and now != before:
            causes.append(forbidden("status.conditions", f'updates may not modify a condition of type "{kind}"'))
    return causes


def _certificate(content: str) -> list[Cause]:
    """PEM, and nothing but certificates."""
    field, kinds = "status.certificate", [found[1] for found in _PEM.finditer(base64.b64decode(content))]
    if not kinds:
        return [invalid(field, "<certificate data>", "must contain at least one CERTIFICATE PEM block")]
    others = [kind.decode() for kind in kinds if kind != b"CERTIFICATE"]
    return [invalid(field, "<certificate data>", f'only CERTIFICATE PEM blocks are allowed, found "{kind}"') for kind in others[:1]]


STRATEGIES: dict[str, type[Strategy]] = {"certificates.k8s.io/certificatesigningrequests": SigningRequestStrategy}

"""Which plugins run: upstream's order, its defaults, and what the options enable or disable."""

from __future__ import annotations

from collections.abc import Callable

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin
from bareboat.contracts.auth import Reader
from bareboat_admission_builtin import certificates, defaults, pods
from bareboat_admission_builtin.events import EventRateLimit
from bareboat_admission_builtin.images import ImagePolicyWebhook
from bareboat_admission_builtin.limit_ranger import LimitRanger
from bareboat_admission_builtin.namespaces import NamespaceAutoProvision
from bareboat_admission_builtin.node_restriction import NodeRestriction
from bareboat_admission_builtin.options import Options
from bareboat_admission_builtin.owners import OwnerReferencesPermissionEnforcement
from bareboat_admission_builtin.pod_security.plugin import PodSecurity
from bareboat_admission_builtin.quota.plugin import ResourceQuota
from bareboat_admission_builtin.runtime_class import RuntimeClass
from bareboat_admission_builtin.services import DenyServiceExternalIPs
from bareboat_admission_builtin.tolerations import PodTolerationRestriction
from bareboat_admission_builtin.topology import LimitPodHardAntiAffinityTopology, PodTopologyLabels

Makers = dict[str, Callable[[], AdmissionPlugin]]
OFF_BY_DEFAULT = frozenset(
    {
        "AlwaysPullImages",
        "PodNodeSelector",
        "ExtendedResourceToleration",
        "DenyServiceExternalIPs",
        "OwnerReferencesPermissionEnforcement",
        "PodTolerationRestriction",
        "EventRateLimit",
        "LimitPodHardAntiAffinityTopology",
        "NamespaceAutoProvision",
        "ImagePolicyWebhook",
    }
)


def chosen(reader: Reader, host: AdmissionHost, options: Options) -> list[AdmissionPlugin]:
    """Raises ValueError for a name that is no plugin."""
    makers = _makers(reader, host, options)
    for name in [*options.enable, *options.disable]:
        if name not in makers:
            raise ValueError(f"admission-builtin: there is no plugin {name!r}; plugins: {', '.join(makers)}")
    wanted = [n for n in makers if n not in options.disable and (n not in OFF_BY_DEFAULT or n in options.enable)]
    return [makers[name]() for name in wanted]


def _makers(reader: Reader, host: AdmissionHost, options: Options) -> Makers:
    """In the order in which they run."""
    return {
        "NamespaceAutoProvision": lambda: NamespaceAutoProvision(reader, host),
        "AlwaysPullImages": pods.AlwaysPullImages,
        "LimitRanger": lambda: LimitRanger(reader),
        "NodeRestriction": lambda: NodeRestriction(reader, host),
        "PodNodeSelector": lambda: pods.PodNodeSelector(reader, options.podNodeSelectors),
        "PodTolerationRestriction": lambda: PodTolerationRestriction(reader, options.podTolerations),
        "LimitPodHardAntiAffinityTopology": LimitPodHardAntiAffinityTopology,
        "ExtendedResourceToleration": pods.ExtendedResourceToleration,
        "DefaultStorageClass": lambda: defaults.DefaultStorageClass(reader),
        "OwnerReferencesPermissionEnforcement": lambda: OwnerReferencesPermissionEnforcement(host),
        "EventRateLimit": lambda: EventRateLimit(host, options.eventRateLimits),
        "ImagePolicyWebhook": lambda: ImagePolicyWebhook(host, options.imagePolicy),
        "PodSecurity": lambda: PodSecurity(reader, options.podSecurity),
        "PersistentVolumeClaimResize": lambda: defaults.PersistentVolumeClaimResize(reader),
        "RuntimeClass": lambda: RuntimeClass(reader),
        "CertificateApproval": lambda: certificates.CertificateApproval(host),
        "CertificateSigning": lambda: certificates.CertificateSigning(host),
        "CertificateSubjectRestriction": certificates.CertificateSubjectRestriction,
        "PodTopologyLabels": lambda: PodTopologyLabels(reader),
        "DefaultIngressClass": lambda: defaults.DefaultIngressClass(reader),
        "DenyServiceExternalIPs": DenyServiceExternalIPs,
        "ResourceQuota": lambda: ResourceQuota(reader, host),
    }

"""The kernel's controllers."""

from __future__ import annotations

from typing import Any

from bareboat.controllers.accounts import RootCaPublisher, ServiceAccountController
from bareboat.controllers.aggregation import ClusterRoleAggregationController
from bareboat.controllers.autoscaling.controller import HorizontalPodAutoscalerController
from bareboat.controllers.certificates.controller import CertificateController
from bareboat.controllers.cronjob.controller import CronJobController
from bareboat.controllers.daemonset.controller import DaemonSetController
from bareboat.controllers.deployment import DeploymentController
from bareboat.controllers.disruption.controller import DisruptionController
from bareboat.controllers.endpoints import EndpointsController, EndpointSliceController
from bareboat.controllers.garbage import GarbageCollector
from bareboat.controllers.ipaddresses import IPAddressController
from bareboat.controllers.job.controller import JobController
from bareboat.controllers.job.ttl import TtlAfterFinishedController
from bareboat.controllers.mirroring import EndpointSliceMirroringController
from bareboat.controllers.namespaces import NamespaceController
from bareboat.controllers.noderanges import NodeAddressController
from bareboat.controllers.nodes import NodeLifecycleController
from bareboat.controllers.podgc import PodGarbageCollector
from bareboat.controllers.policies import PolicyStatusController
from bareboat.controllers.quota.controller import ResourceQuotaController
from bareboat.controllers.replicaset import ReplicaSetController, ReplicationControllerController
from bareboat.controllers.servicecidrs import ServiceCIDRController
from bareboat.controllers.statefulset.controller import StatefulSetController
from bareboat.controllers.tokens.accounts import ServiceAccountTokenController
from bareboat.controllers.tokens.bootstrap import BootstrapSigner, TokenCleaner
from bareboat.controllers.volumes.attach import AttachDetachController
from bareboat.controllers.volumes.binder import PersistentVolumeBinder
from bareboat.controllers.volumes.ephemeral import EphemeralVolumeController
from bareboat.controllers.volumes.protection import ClaimProtectionController, VolumeProtectionController

#: Each is made with a ControllerContext and has ``name`` and ``run``.
BUILTIN: list[type[Any]] = [
    NamespaceController,
    ServiceAccountController,
    RootCaPublisher,
    ServiceAccountTokenController,
    BootstrapSigner,
    TokenCleaner,
    ReplicaSetController,
    ReplicationControllerController,
    DeploymentController,
    StatefulSetController,
    DaemonSetController,
    JobController,
    TtlAfterFinishedController,
    CronJobController,
    DisruptionController,
    HorizontalPodAutoscalerController,
    ResourceQuotaController,
    EndpointsController,
    EndpointSliceController,
    EndpointSliceMirroringController,
    ClusterRoleAggregationController,
    PolicyStatusController,
    CertificateController,
    PodGarbageCollector,
    PersistentVolumeBinder,
    AttachDetachController,
    ClaimProtectionController,
    VolumeProtectionController,
    EphemeralVolumeController,
    ServiceCIDRController,
    IPAddressController,
    NodeAddressController,
    NodeLifecycleController,
    GarbageCollector,
]

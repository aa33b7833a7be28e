"""Protobuf bodies, as our encoder writes them and as kubectl did."""

import msgspec
import pytest

from bareboat.models import (
    admissionregistration_v1,
    apiextensions_v1,
    apps_v1,
    authentication_v1,
    authorization_v1,
    autoscaling_v1,
    certificates_v1,
    codec,
    core_v1,
    events_v1,
    meta_v1,
    policy_v1,
    protobuf,
    rbac_v1,
    scheme,
)
from bareboat.models.protobuf_encoding import chunk, encode, envelope, number_field, varint


def encoded(obj):
    return encode(codec.to_tree(obj) | {"apiVersion": obj.apiVersion, "kind": obj.kind})


POD = core_v1.Pod(
    metadata=meta_v1.ObjectMeta(
        name="p",
        labels={"a": "b", "empty": ""},
        creationTimestamp="2026-01-02T03:04:05Z",
        finalizers=["x", "y"],
        managedFields=[meta_v1.ManagedFieldsEntry(manager="m", fieldsV1=msgspec.Raw(b'{"f:spec":{}}'))],
    ),
    spec=core_v1.PodSpec(
        terminationGracePeriodSeconds=0,
        volumes=[core_v1.Volume(name="v", emptyDir=core_v1.EmptyDirVolumeSource(sizeLimit="1Gi"))],
        containers=[
            core_v1.Container(
                name="c",
                args=["", "x"],
                resources=core_v1.ResourceRequirements(limits={"cpu": "500m"}),
                livenessProbe=core_v1.Probe(httpGet=core_v1.HTTPGetAction(port="http", path="/"), periodSeconds=3),
                env=[core_v1.EnvVar(name="E", valueFrom=core_v1.EnvVarSource(secretKeyRef=core_v1.SecretKeySelector(name="s", key="k")))],
            )
        ],
        ephemeralContainers=[core_v1.EphemeralContainer(name="debug", image="i", targetContainerName="c")],
        tolerations=[core_v1.Toleration(key="k", tolerationSeconds=-1)],
    ),
)
OBJECTS = [
    POD,
    apps_v1.Deployment(
        spec=apps_v1.DeploymentSpec(
            replicas=3, strategy=apps_v1.DeploymentStrategy(rollingUpdate=apps_v1.RollingUpdateDeployment(maxSurge="25%", maxUnavailable=1))
        )
    ),
    apps_v1.ControllerRevision(data={"a": [1, None]}, revision=2),
    core_v1.Secret(data={"a": "AAEC"}, type="Opaque"),
    core_v1.Service(spec=core_v1.ServiceSpec(ports=[core_v1.ServicePort(port=80, targetPort="http")])),
    core_v1.Event(reason="R", count=2, firstTimestamp="2026-01-02T03:04:05Z", eventTime="2026-01-02T03:04:05.000006Z"),
    events_v1.Event(reason="R", eventTime="2026-01-02T03:04:05.999999Z"),
    authentication_v1.TokenRequest(spec=authentication_v1.TokenRequestSpec(audiences=["a"], expirationSeconds=600)),
    authentication_v1.TokenReview(status=authentication_v1.TokenReviewStatus(user=authentication_v1.UserInfo(extra={"k": ["v", "w"]}))),
    authorization_v1.SelfSubjectAccessReview(
        spec=authorization_v1.SelfSubjectAccessReviewSpec(resourceAttributes=authorization_v1.ResourceAttributes(verb="get"))
    ),
    autoscaling_v1.Scale(spec=autoscaling_v1.ScaleSpec(replicas=5)),
    policy_v1.Eviction(deleteOptions=meta_v1.DeleteOptions(gracePeriodSeconds=0)),
    rbac_v1.ClusterRole(rules=[rbac_v1.PolicyRule(verbs=["*"], nonResourceURLs=["/x"])]),
    certificates_v1.CertificateSigningRequest(spec=certificates_v1.CertificateSigningRequestSpec(request="AAEC", extra={"a": ["b"]})),
    admissionregistration_v1.ValidatingAdmissionPolicy(
        spec=admissionregistration_v1.ValidatingAdmissionPolicySpec(
            matchConstraints=admissionregistration_v1.MatchResources(
                resourceRules=[admissionregistration_v1.NamedRuleWithOperations(apiGroups=["apps"], operations=["CREATE"], scope="*")]
            )
        )
    ),
    apiextensions_v1.CustomResourceDefinition(
        spec=apiextensions_v1.CustomResourceDefinitionSpec(
            group="g",
            versions=[
                apiextensions_v1.CustomResourceDefinitionVersion(
                    name="v1",
                    schema=apiextensions_v1.CustomResourceValidation(
                        openAPIV3Schema=apiextensions_v1.JSONSchemaProps(
                            type="object",
                            default={"a": None},
                            maximum=1.5,
                            minimum=0,
                            additionalProperties=False,
                            items=apiextensions_v1.JSONSchemaProps(ref="#/x", enum=["a", 1]),
                            dependencies={"a": ["b"]},
                            x_kubernetes_preserve_unknown_fields=True,
                        )
                    ),
                )
            ],
        )
    ),
    meta_v1.DeleteOptions(propagationPolicy="Background", preconditions=meta_v1.Preconditions(uid="u")),
]


@pytest.mark.parametrize("obj", OBJECTS, ids=lambda obj: obj.kind)
def test_an_object_is_the_same_from_protobuf_as_from_json(obj):
    api_version, kind, got = protobuf.decode(encoded(obj))
    assert (api_version, kind, type(got)) == (obj.apiVersion, obj.kind, type(obj))
    assert codec.encode(got) == codec.encode(obj)


@pytest.mark.parametrize("resource", scheme.Scheme.builtin().resources(), ids=lambda resource: f"{resource.api_version}/{resource.plural}")
def test_every_kind_decodes_from_an_empty_message(resource):
    got = protobuf.decode(envelope(resource.api_version, resource.kind, b""))[2]
    assert got == resource.type()


def test_a_body_as_kubectl_wrote_it():
    body = (
        bytes.fromhex("6b387300")
        + chunk(1, b"\n\x02v1\x12\x09Namespace")
        + chunk(2, b"\n\x0c\n\x04demo\x12\x00\x1a\x00B\x00\x12\x00\x1a\x02\n\x00")
        + b'\x1a\x00"\x00'
    )
    namespace = protobuf.decode(body)[2]
    assert codec.encode(namespace) == b'{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"demo"},"spec":{},"status":{}}'


def test_quantities_are_canonical_and_unset_times_null():
    limits = chunk(1, chunk(1, b"cpu") + chunk(2, chunk(1, b"0.5")))
    assert protobuf.decode_message(core_v1.ResourceRequirements, limits).limits == {"cpu": "500m"}
    assert protobuf.decode_message(meta_v1.ObjectMeta, chunk(8, b"")).creationTimestamp is None


def test_negative_numbers_and_packed_lists_are_read():
    assert protobuf.decode_message(core_v1.PodSecurityContext, chunk(4, b"\x01\x02")).supplementalGroups == [1, 2]
    assert protobuf.decode_message(core_v1.Toleration, number_field(5, -7)).tolerationSeconds == -7


def test_fields_of_later_versions_are_skipped():
    raw = chunk(1, b"n") + number_field(900, 1) + chunk(901, b"x") + varint(902 << 3 | 1) + b"12345678"
    assert protobuf.decode_message(meta_v1.ObjectMeta, raw).name == "n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "does not appear to be a protobuf message"),
        (b"k8s\x00\x0a\x7f", "unexpected EOF"),
        (b"k8s\x00\x0b", "illegal wireType 3"),
        (b"k8s\x00" + b"\xff" * 11, "integer overflow"),
        (envelope("v1", "Widget", b""), 'no kind "Widget" is registered for version "v1"'),
        (envelope("v1", "Pod", number_field(1, 5)), "wrong wireType"),
        (envelope("v1", "Pod", chunk(2, chunk(32, chunk(1, b"cpu") + chunk(2, chunk(1, b"lots"))))), "quantities must match"),
    ],
)
def test_broken_bodies_are_refused(body, message):
    with pytest.raises(codec.DecodeError) as caught:
        protobuf.decode(body)
    assert message in caught.value.message

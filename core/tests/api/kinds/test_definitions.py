"""CustomResourceDefinitions: names, versions, schemas."""

import pytest

SCHEMA = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}],
    },
}
V, AT = "spec/versions/0", "spec.versions[0]"
S, WHERE = f"{V}/schema/openAPIV3Schema", "spec.validation.openAPIV3Schema"
SIZE, HERE = f"{S}/properties/spec/properties/size", f"{WHERE}.properties[spec].properties[size]"
WRONG = [
    ("metadata/name", "gadgets.example.com", "Invalid metadata.name"),
    ("spec/group", "Example", "Invalid metadata.name; Invalid spec.group"),
    ("spec/scope", "Everywhere", "NotSupported spec.scope"),
    ("spec/names/kind", "A_b", "Invalid spec.names.kind; Invalid spec.names.listKind; Invalid spec.names.singular"),
    ("spec/names/shortNames", ["A"], "Invalid spec.names.shortNames[0]"),
    ("spec/names/listKind", "Widget", "Invalid spec.names.listKind"),
    (f"{V}/name", "V1", "Invalid spec.version; Invalid spec.versions[0].name"),
    (f"{V}/storage", False, "Invalid spec.versions; Invalid status.storedVersions"),
    ("spec/versions/1", {**CRD["spec"]["versions"][0], "storage": False}, "Invalid spec.versions"),
    (f"{V}/schema", None, f"Required {AT}.schema.openAPIV3Schema"),
    (f"{S}/type", "string", f"Invalid {WHERE}.type"),
    (f"{SIZE}/type", "number-like", f"NotSupported {HERE}.type"),
    (f"{SIZE}/type", None, f"Required {HERE}.type"),
    (f"{SIZE}/uniqueItems", True, f"Forbidden {HERE}.uniqueItems"),
    (f"{SIZE}/pattern", "(", f"Invalid {HERE}.pattern"),
    (f"{SIZE}/x-kubernetes-list-type", "many", f"Invalid {HERE}.type; NotSupported {HERE}.x-kubernetes-list-type"),
    (f"{SIZE}/x-kubernetes-validations", [{"rule": "self >"}], f"Invalid {HERE}.x-kubernetes-validations[0].rule"),
    (f"{V}/subresources", {"scale": {"statusReplicasPath": ".status.n"}}, "Required spec.subresources.scale.specReplicasPath"),
    (f"{V}/additionalPrinterColumns", [{"name": "A", "type": "text", "jsonPath": ".a"}], "Invalid spec.additionalPrinterColumns[0].type"),
    (f"{V}/selectableFields", [{"jsonPath": ""}], "Required spec.selectableFields[0].jsonPath"),
    (
        "spec/conversion",
        {"strategy": "Webhook"},
        "Required spec.conversion.conversionReviewVersions; Required spec.conversion.webhookClientConfig",
    ),
    ("spec/conversion", {"strategy": "Script"}, "NotSupported spec.conversion.strategy"),
    ("spec/preserveUnknownFields", True, "Invalid spec.preserveUnknownFields"),
]


def test_the_definition_is_right(create):
    assert create(CRD) == []


@pytest.mark.parametrize(("path", "value", "causes"), WRONG)
def test_a_fault_is_named(create, path, value, causes):
    assert "; ".join(create(CRD, path, value)) == causes


def test_groups_of_the_community_need_its_consent(create):
    tree = {**CRD, "metadata": {"name": "widgets.x.k8s.io"}, "spec": {**CRD["spec"], "group": "x.k8s.io"}}
    field = "metadata.annotations[api-approved.kubernetes.io]"
    assert create(tree) == [f"Required {field}"]
    assert create(tree, "metadata/annotations", {"api-approved.kubernetes.io": "perhaps"}) == [f"Invalid {field}"]
    assert create(tree, "metadata/annotations", {"api-approved.kubernetes.io": "https://example.com/1"}) == []


@pytest.mark.parametrize(
    ("path", "value", "cause"),
    [("spec/group", "b.com", "Invalid spec.group"), ("spec/names/plural", "things", "Invalid spec.names.plural")],
)
def test_what_names_it_stays(update, path, value, cause):
    assert cause in update(CRD, path, value)


def test_defaults(defaulted):
    crd = defaulted(CRD)
    assert (crd.spec.names.singular, crd.spec.names.listKind, crd.spec.conversion.strategy) == ("widget", "WidgetList", "None")
    assert crd.status.storedVersions == ["v1"]
    assert crd.metadata.generation == 1

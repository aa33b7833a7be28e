"""How large ConfigMaps and annotations may be, counted in bytes, not in characters."""

import pytest

from bareboat.api.kinds.core.configuration import SIZE_LIMIT, ConfigMapStrategy
from bareboat.api.kinds.metadata import ANNOTATIONS_LIMIT, validate_annotations
from bareboat.models import core_v1


def faults(data, binary=None):
    return ConfigMapStrategy().validate_create(core_v1.ConfigMap(data=data, binaryData=binary or {}))


@pytest.mark.parametrize("letter", ["x", "é", "€", "😀"])
def test_a_config_map_may_have_exactly_its_limit_in_bytes(letter):
    count = SIZE_LIMIT // len(letter.encode())
    assert len(letter.encode()) * count <= SIZE_LIMIT
    assert faults({"a": letter * count}) == []
    assert len(faults({"a": letter * (count + 1)})) == 1


def test_text_and_binary_data_are_counted_together():
    binary = {"b": "AAAA" * (SIZE_LIMIT // 6)}
    assert faults({"a": "x" * (SIZE_LIMIT // 2 - 3)}, binary) == []
    assert len(faults({"a": "x" * (SIZE_LIMIT // 2 + 3)}, binary)) == 1


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_annotations_may_have_exactly_their_limit_in_bytes(letter):
    count = (ANNOTATIONS_LIMIT - 1) // len(letter.encode())
    assert validate_annotations({"k": letter * count}, "metadata.annotations") == []
    assert len(validate_annotations({"k": letter * (count + 1)}, "metadata.annotations")) == 1

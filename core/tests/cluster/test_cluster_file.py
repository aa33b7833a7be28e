"""The cluster file: what is accepted, and that every error names line, field and remedy."""

import pytest

from bareboat.cluster.file.reading import ClusterFileError, parse
from bareboat.cluster.file.shape import ClusterFile


def test_an_empty_file_is_the_default_cluster():
    cluster, _ = parse("")
    assert cluster == ClusterFile()


def test_lines_of_every_path_are_known():
    _, lines = parse("kind: Cluster\nnode:\n  runtimes:\n  - use: process\n  - use: fake\n    handler: fake\n")
    assert lines.of("$.node.runtimes[1].use") == 5
    assert lines.of("$.node.runtimes[1].options") == 5
    assert lines.of("$.node.network.use") == 2


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("kind: Cluster\nserver:\n  prt: 1\n", 3, ["server.prt", "unknown field", "address, port, names"]),
        ("server:\n  port: 70000\n", 2, ["server.port", "65535"]),
        ("node:\n  runtimes:\n  - use: process\n    hndler: x\n", 4, ["node.runtimes[0].hndler", "use, dist, options, handler"]),
        ("kind: Pod\n", 1, ["kind", "Pod"]),
        ("name: a\nname: b\n", 2, ["'name' stands twice"]),
        ("networking:\n  podCIDR: 10.0.0.0\n  serviceCIDR: 300.1.1.1/8\n", 3, ["networking.serviceCIDR", "300.1.1.1/8"]),
        ("networking:\n  podCIDR: 10.96.0.0/12\n", 1, ["overlaps"]),
        ("networking:\n  nodePorts: 9-2\n", 2, ["nodePorts", "30000-32767"]),
        ("node:\n  runtimes: []\n", 2, ["at least one runtime"]),
        ("a: [\n", 2, ["not YAML"]),
        ("name: Demo_1\n", 1, ["lower-case"]),
    ],
)
def test_an_error_names_line_field_and_what_is_allowed(text, line, words):
    with pytest.raises(ClusterFileError) as caught:
        parse(text)
    assert caught.value.line == line
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    from bareboat.cluster.file.reading import read

    with pytest.raises(ClusterFileError, match="No such file"):
        read(tmp_path / "missing.yaml")

"""The build of the definitions: complete, repeatable, and outside the checkout."""

import importlib.util
import pathlib

import pytest

BUILD = pathlib.Path(__file__).parents[2] / "definitions" / "build.py"


@pytest.fixture(scope="module")
def build():
    pytest.importorskip("kubernetes_validate")
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("definitions_build", BUILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_builds_are_equal_byte_for_byte(build, tmp_path):
    made = []
    for name in ("one", "two"):
        target = tmp_path / name
        target.mkdir()
        build.generate(target)
        made.append({path.name: path.read_bytes() for path in target.iterdir()})
    assert made[0] == made[1]
    assert {"__init__.py", "py.typed", "core_v1.py", "definitions.zip"} <= made[0].keys()


def test_the_hook_offers_its_package_and_cleans_up(build, tmp_path):
    hook = build.DefinitionsHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel")
    for version, key in (("editable", "force_include_editable"), ("standard", "force_include")):
        data = {}
        hook.initialize(version, data)
        ((directory, package),) = data[key].items()
        assert package == "bareboat_definitions"
        assert (pathlib.Path(directory) / "core_v1.py").exists()
        hook.finalize(version, data, "")
        assert not pathlib.Path(directory).exists()
    assert list(tmp_path.iterdir()) == []

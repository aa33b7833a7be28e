"""Every controller is in the documentation, and has a name and an identity of its own."""

from pathlib import Path

from bareboat.controllers.registry import BUILTIN


def test_every_controller_is_documented_once():
    text = (Path(__file__).parents[3] / "docs" / "controllers.md").read_text()
    names = [cls.name for cls in BUILTIN]
    assert len(set(names)) == len(names)
    assert [name for name in names if f"`{name}`" not in text] == []

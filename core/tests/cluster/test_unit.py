"""The systemd unit: how words are quoted, and what is done where systemd runs."""

import pytest

from bareboat.cluster import unit
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.layout import Layout


@pytest.mark.parametrize(
    ("word", "written"),
    [("plain", "plain"), ("two words", '"two words"'), ("50%", "50%%"), ("$HOME", "$$HOME"), ('a"b', '"a\\"b"'), ("a;b", '"a;b"')],
)
def test_words_are_taken_literally(word, written):
    assert unit.quoted(word) == written


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """A machine with systemd, as far as can be told: what systemctl is asked is in the file."""
    asked = tmp_path / "asked"
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n[ ! -e {tmp_path}/broken ] || {{ echo "no bus" >&2; exit 1; }}\n')
    systemctl.chmod(0o755)
    (tmp_path / "units").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(unit, "UNITS", tmp_path / "units")
    monkeypatch.setattr(unit, "runs_systemd", lambda: True)
    return lambda: asked.read_text().splitlines() if asked.exists() else []


def test_a_service_is_enabled_started_and_removed(systemd, tmp_path):
    done = unit.install(Layout(tmp_path / "d"), "lab", ["--nodes", "2"], None)
    assert done.todo == []
    assert systemd() == ["daemon-reload", "enable --now bareboat-lab.service"]
    text = (tmp_path / "units" / "bareboat-lab.service").read_text()
    assert f"up --foreground --keep --name lab --data-dir {tmp_path}/d --nodes 2\n" in text
    again = unit.install(Layout(tmp_path / "d"), "lab", ["--nodes", "2"], None)
    assert (again.changed, systemd()[2:]) == (False, ["enable --now bareboat-lab.service"])
    unit.uninstall("lab", None)
    assert systemd()[3:] == ["disable --now bareboat-lab.service", "daemon-reload"]
    assert list((tmp_path / "units").iterdir()) == []
    assert unit.uninstall("lab", None).changed is False


def test_what_systemd_refuses_is_told(systemd, tmp_path):
    (tmp_path / "broken").touch()
    with pytest.raises(ClusterError, match="systemctl daemon-reload failed: no bus"):
        unit.install(Layout(tmp_path / "d"), "lab", [], None)


def test_a_place_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ClusterError, match="--unit-dir"):
        unit.install(Layout(tmp_path / "d"), "lab", [], tmp_path / "nowhere")

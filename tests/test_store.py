"""What people do with the store, and what a server says to one that it cannot use, in real processes."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from bareboat.testing.etcd import etcd
from bareboat.testing.postgres import postgres
from tests.conftest import BAREBOAT, Cluster, run

__all__ = ["etcd", "postgres"]
pytestmark = pytest.mark.timeout(120)
ALONE = ("--port", "0", "--controllers", "")


class Server(Cluster):
    """An API server alone."""

    def __init__(self, data_dir, *options):
        super().__init__(data_dir)
        self.options = options
        self.process = None

    def start(self):
        self.kubeconfig.unlink(missing_ok=True)
        command = [*BAREBOAT, "server", "--data-dir", str(self.data_dir), *ALONE, *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline()
        while line and "ready at" not in line:
            line = self.process.stdout.readline()
        assert line, self.process.wait()
        return self

    def stop(self, number=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(number)
            self.process.stdout.read()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def refused(self):
        """How a start ends that must fail: code and words."""
        done = run(*BAREBOAT, "server", "--data-dir", str(self.data_dir), *ALONE, *self.options, check=False)
        return done.returncode, done.stderr

    def store(self, *words, check=True):
        return run(*BAREBOAT, "store", *words, "--data-dir", str(self.data_dir), *self.options, check=check)

    @property
    def file(self):
        return self.data_dir / "server" / "state" / "store.db"


@pytest.fixture
def servers(tmp_path):
    made = []

    def make(name, *options):
        made.append(Server(tmp_path / name, *options))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "sealed.yaml"
    path.write_text("kind: Cluster\nencryption: {}\n")
    return "--config", str(path)


def test_a_backup_of_a_running_server_fills_a_new_cluster_whose_clients_list_again(servers, sealed, tmp_path):
    old = servers("old", *sealed).start()
    old.kubectl("create", "secret", "generic", "s", "--from-literal=p=topsecret")
    old.kubectl("create", "configmap", "c", "--from-literal=a=b")
    before = old.get("configmap", "c")["metadata"]["resourceVersion"]
    said = old.store("backup", str(tmp_path / "b")).stdout
    assert "sealed with key1" in said
    assert os.stat(tmp_path / "b").st_mode & 0o777 == 0o600
    assert old.store("verify", str(tmp_path / "b")).stdout.startswith("whole: ")
    new = servers("new", *sealed)
    refused = new.store("restore", str(tmp_path / "b"), check=False)
    assert (refused.returncode, "does not open with key 'key1'" in refused.stderr) == (1, True)
    keys = (old.data_dir / "server" / "encryption.yaml").read_bytes()
    (new.data_dir / "server" / "encryption.yaml").write_bytes(keys)
    new.store("restore", str(tmp_path / "b"))
    again = new.store("restore", str(tmp_path / "b"), check=False)
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    new.start()
    assert new.get("secret", "s")["data"] == {"p": "dG9wc2VjcmV0"}
    assert int(new.get("configmap", "c")["metadata"]["resourceVersion"]) > int(before) + 1_000_000
    stale = new.kubectl("get", "--raw", f"/api/v1/configmaps?watch=1&resourceVersion={before}&timeoutSeconds=1", check=False)
    assert "too old resource version" in (stale.stdout + stale.stderr)
    old_object = old.get("configmap", "c")
    assert new.kubectl("replace", "-f", "-", input=json.dumps(old_object), check=False).returncode == 1
    for path in (tmp_path / "b", old.file, new.file, Path(f"{new.file}-wal")):
        assert b"dG9wc2VjcmV0" not in path.read_bytes()


def test_the_store_can_be_looked_into_while_the_server_runs_and_when_it_does_not(servers):
    server = servers("one").start()
    server.kubectl("create", "configmap", "c", "--from-literal=a=1")
    first = server.get("configmap", "c")["metadata"]["resourceVersion"]
    server.kubectl("patch", "configmap", "c", "-p", '{"data":{"a":"2"}}')
    for _ in range(2):
        assert json.loads(server.store("get", "cm", "default/c").stdout)["data"] == {"a": "2"}
        assert json.loads(server.store("get", "core/configmaps/default/c", "--at-revision", first).stdout)["data"] == {"a": "1"}
        figures = json.loads(server.store("stats", "-o", "json").stdout)
        assert figures["resources"]["core/configmaps"][0] >= 1
        assert server.store("verify").stdout.startswith("whole: ")
        server.stop()
    assert server.store("get", "cm", "default/none", check=False).stderr == "bareboat store: core/configmaps/default/none does not exist\n"
    assert "compacted to revision" in server.store("compact").stdout
    gone = server.store("get", "cm", "default/c", "--at-revision", first, check=False)
    assert (gone.returncode, "compacted" in gone.stderr) == (1, True)


def test_keys_are_rotated_by_a_command_or_by_replacing(servers, sealed):
    server = servers("one", *sealed).start()
    for name in ("by-command", "by-replace"):
        server.kubectl("create", "secret", "generic", name, "--from-literal=p=v")
    server.stop()
    path = server.data_dir / "server" / "encryption.yaml"
    path.write_text(path.read_text().replace("keys:\n", f"keys:\n      - name: key2\n        secret: {'A' * 43}=\n"))
    server.start()
    assert json.loads(server.store("stats", "-o", "json").stdout)["stale"] == 2
    server.kubectl("replace", "-f", "-", input=server.kubectl("get", "secret", "by-replace", "-o", "json").stdout)
    assert json.loads(server.store("stats", "-o", "json").stdout)["stale"] == 1
    assert server.store("reencrypt").stdout == "1 objects were written again\n"
    server.store("compact")
    server.stop()
    assert b"v1:key1:" not in server.file.read_bytes()
    assert server.file.read_bytes().count(b"v1:key2:") == 2


@pytest.fixture
def stopped(servers):
    server = servers("one").start()
    server.kubectl("create", "configmap", "c", "--from-literal=a=1")
    server.stop()
    return server


def change(server, statement):
    connection = sqlite3.connect(server.file)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_damaged_or_newer_store_is_refused_by_name_and_not_made_worse(stopped):
    change(stopped, "UPDATE meta SET value = '99' WHERE name = 'schema'")
    before = stopped.file.read_bytes()
    code, said = stopped.refused()
    assert (code, f"{stopped.file} has schema 99" in said, "use the version that wrote it" in said) == (1, True, True)
    assert stopped.file.read_bytes() == before
    harmed = b"\0" * 100 + before[100:]
    stopped.file.write_bytes(harmed)
    code, said = stopped.refused()
    assert (code, f"{stopped.file} is damaged" in said, "bareboat store restore" in said) == (1, True, True)
    found = stopped.store("verify", check=False)
    assert (found.returncode, "is damaged" in found.stdout) == (3, True)
    assert stopped.file.read_bytes() == harmed


def test_one_server_at_a_time_has_the_store(servers):
    server = servers("one").start()
    code, said = server.refused()
    assert (code, f"in use by another server (process {server.process.pid})" in said) == (1, True)
    refused = server.store("restore", __file__, check=False)
    assert (refused.returncode, "is no backup" in refused.stderr) == (1, True)
    assert server.kubectl("get", "--raw", "/readyz").stdout == "ok"


def test_the_data_of_another_cluster_are_refused(servers, tmp_path, stopped):
    other = Server(stopped.data_dir, "--name", "other")
    code, said = other.refused()
    assert (code, "holds the data of cluster 'bareboat', not of 'other': use --name bareboat" in said) == (1, True)


def test_a_lost_key_file_is_named_and_no_new_one_is_made(servers, sealed):
    server = servers("one", *sealed).start()
    server.kubectl("create", "secret", "generic", "s", "--from-literal=p=v")
    server.stop()
    path = server.data_dir / "server" / "encryption.yaml"
    keys = path.read_bytes()
    path.unlink()
    code, said = server.refused()
    assert (code, f"{path} is gone" in said, path.exists()) == (1, True, False)
    path.write_bytes(keys)
    path.chmod(0o644)
    assert f"chmod 600 {path}" in server.refused()[1]
    path.chmod(0o600)
    server.options = ()
    code, said = server.refused()
    assert (code, "core/secrets/default/s is sealed with key 'key1', and no keys are configured" in said) == (1, True)
    server.options = sealed
    assert server.start().get("secret", "s")["data"] == {"p": "dg=="}


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("a file system of its own needs root")
    data = tmp_path / "disk"
    data.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=6m", "none", str(data))
    yield data
    run("umount", "--lazy", str(data))


def test_on_a_full_disk_writes_are_refused_reads_go_on_and_space_heals_it(disk):
    server = Server(disk).start()
    try:
        server.kubectl("create", "configmap", "c", "--from-literal=a=1")
        with (disk / "balloon").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while file.write(b"\0" * 4096):
                pass
        refused = server.kubectl("create", "configmap", "d", f"--from-literal=a={'x' * 50_000}", check=False)
        assert refused.returncode == 1
        assert f"no space left for {server.file}" in refused.stderr
        assert server.get("configmap", "c")["data"] == {"a": "1"}
        assert server.kubectl("get", "--raw", "/readyz", check=False).returncode == 1
        time.sleep(11)  # the server has asked the disk again by now, and was told the same
        assert server.kubectl("get", "--raw", "/readyz", check=False).returncode == 1
        (disk / "balloon").unlink()
        server.kubectl("create", "configmap", "e", "--from-literal=a=1")
        assert server.kubectl("get", "configmap", "d", check=False).returncode == 1
        assert server.kubectl("get", "--raw", "/readyz").stdout == "ok"
    finally:
        server.stop()


def test_a_read_only_disk_is_named(disk):
    server = Server(disk).start()
    server.stop()
    run("mount", "-o", "remount,ro", str(disk))
    code, said = server.refused()
    assert code == 1
    assert str(disk) in said
    assert "Read-only file system" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("use", ["postgres", "etcd"])
def test_a_backup_from_one_store_fills_another(servers, request, tmp_path, use):
    backend = request.getfixturevalue(use)
    where = f"url: '{backend.url}', schema: moved" if use == "postgres" else f"endpoints: ['{backend.url}'], prefix: /moved"
    old = servers("old").start()
    old.kubectl("create", "configmap", "c", "--from-literal=a=b")
    old.store("backup", str(tmp_path / "b"))
    old.stop()
    path = tmp_path / "other.yaml"
    path.write_text(f"kind: Cluster\nstore: {{use: {use}, options: {{{where}}}}}\n")
    new = servers("new", "--config", str(path))
    new.store("restore", str(tmp_path / "b"))
    assert new.store("verify", "--full").stdout.startswith("whole: ")
    new.start()
    assert new.get("configmap", "c")["data"] == {"a": "b"}
    assert f"Store {use}: " in new.store("stats").stdout
    new.store("backup", str(tmp_path / "back"))
    new.stop()
    again = servers("again")
    again.store("restore", str(tmp_path / "back"))
    assert again.start().get("configmap", "c")["data"] == {"a": "b"}

"""`up --foreground`, as a service manager runs it; logs for machines; completion for shells."""

import json
import os
import signal
import socket
import subprocess

import pytest

from tests.conftest import BAREBOAT, Cluster, run


@pytest.mark.timeout(120)
def test_a_service_says_when_it_is_ready_mends_what_ends_and_leaves_containers(tmp_path):
    cluster = Cluster(tmp_path / "c")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(tmp_path / "notify"))
    listening.settimeout(30)
    words = [
        *BAREBOAT,
        "up",
        "--fake",
        "--foreground",
        "--keep",
        "--port",
        "0",
        "--data-dir",
        str(cluster.data_dir),
        "--log-format",
        "json",
    ]
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    with listening, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as service:
        try:
            assert listening.recv(100) == b"READY=1"
            cluster.kubectl("create", "deployment", "web", "--image=any")
            cluster.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
            before = cluster.get("pods", "-l", "app=web")["items"][0]["status"]["containerStatuses"][0]["containerID"]
            agent = json.loads((cluster.data_dir / "state.json").read_text())["nodes"][0]["process"]["pid"]
            os.kill(agent, signal.SIGKILL)

            def mended():
                state = json.loads((cluster.data_dir / "state.json").read_text())
                return state["nodes"][0]["process"]["pid"] != agent

            cluster.until(mended, 30)
            service.send_signal(signal.SIGTERM)
            assert listening.recv(100) == b"STOPPING=1"
            assert service.wait(20) == 0
            record = json.loads(service.stderr.read().splitlines()[0])
            assert (record["level"], record["message"]) == ("warning", "not running any more: n1; starting again")
            assert {c["state"] for c in json.loads(cluster.bareboat("status", "-o", "json", check=False).stdout)["components"]} == {
                "stopped"
            }
            cluster.bareboat("up", "--fake", "--port", "0")
            assert cluster.get("pods", "-l", "app=web")["items"][0]["status"]["containerStatuses"][0]["containerID"] == before
        finally:
            service.kill()
            cluster.bareboat("down", "--purge", check=False)


def test_bash_completes_commands_options_and_their_values(tmp_path):
    script = tmp_path / "completion"
    script.write_text(run(*BAREBOAT, "completion", "bash").stdout)

    def completed(*words):
        code = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bareboat; echo "${COMPREPLY[*]}"'
        return run("bash", "-c", code, str(script), "bareboat", *words).stdout.split()

    assert completed("no") == ["node"]
    assert completed("node", "st") == ["stop", "start"]
    assert completed("status", "--out") == ["--output"]
    assert completed("status", "--output", "") == ["table", "json"]
    assert completed("--name", "x", "pl") == ["plugins", "plugin"]
    assert completed("up", "--config", f"{tmp_path}/comp") == [str(script)]
    assert "complete -c bareboat" in run(*BAREBOAT, "completion", "fish").stdout
    assert run(*BAREBOAT, "completion", "zsh").stdout.startswith("#compdef bareboat")

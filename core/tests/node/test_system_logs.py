"""The machine's logs through the node's API: what is listed, read, and kept back."""

import pytest
from starlette.testclient import TestClient

from bareboat.node import system_logs


@pytest.fixture
def client(tmp_path):
    root = tmp_path / "log"
    (root / "apt").mkdir(parents=True)
    (root / "apt/history.log").write_text("installed\n")
    (root / "a&b.log").write_text("both\n")
    (root / "secret").symlink_to("/etc/shadow")
    (root / "latest").symlink_to("apt/history.log")

    async def app(scope, receive, send):
        if not await system_logs.answer(scope["path"].removeprefix("/logs"), scope, receive, send, root):
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    return TestClient(app, follow_redirects=False)


def test_a_directory_is_listed_with_links(client):
    answer = client.get("/logs/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<a href="a%26b.log">a&amp;b.log</a>\n<a href="apt/">apt/</a>\n' in answer.text


@pytest.mark.parametrize(("path", "place"), [("/logs", "logs/"), ("/logs/apt", "apt/")])
def test_a_directory_is_asked_for_with_a_slash(client, path, place):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (301, place)


@pytest.mark.parametrize(("path", "text"), [("apt/history.log", "installed\n"), ("latest", "installed\n"), ("a%26b.log", "both\n")])
def test_a_file_is_read(client, path, text):
    assert client.get(f"/logs/{path}").text == text


@pytest.mark.parametrize("path", ["none", "secret", "../log2", "..%2f..%2fetc/passwd", "apt/%00"])
def test_nothing_else_is_found(client, path):
    assert client.get(f"/logs/{path}").status_code == 404

"""The yardstick: uvicorn (httptools, uvloop) over TLS answering one fixed body of 4.9 KB, and nothing else.

Its requests per second, Y, are measured beside every row in the same run, so that results can be compared between machines and days.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.load import wrk
from bench.server import free_port, listening

BODY = b'{"kind":"Pod","data":"' + b"x" * 4876 + b'"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
#: Y of the machine on which upstream was measured.
REFERENCE = 34_000.0


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


class Yardstick:
    """A yardstick in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        certificate, key = folder / "yardstick.crt", folder / "yardstick.key"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        subject = ["-subj", "/CN=yardstick", "-days", "2"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(["openssl", "req", "-x509", "-nodes", *curve, *subject, *files], check=True, capture_output=True)
        options = ["--port", str(self._port), "--cert", str(certificate), "--key", str(key)]
        self._process = subprocess.Popen([sys.executable, "-m", "bench.yardstick", *options], cwd=Path(__file__).parent.parent)
        listening(self._port)

    def measure(self, seconds: float = 1.0) -> float:
        return wrk(f"https://127.0.0.1:{self._port}/", clients=16, seconds=seconds).per_second

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def main() -> None:
    import uvicorn

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=9443)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    chosen = parser.parse_args()
    files = {"ssl_certfile": chosen.cert, "ssl_keyfile": chosen.key}
    quiet = {"log_level": "error", "access_log": False, "lifespan": "off", "ws": "none"}
    uvicorn.run(app, host="127.0.0.1", port=chosen.port, http="httptools", loop="uvloop", **files, **quiet)


if __name__ == "__main__":
    main()

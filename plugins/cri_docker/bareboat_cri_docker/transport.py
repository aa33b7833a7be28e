"""How the SDK's requests reach the daemon: its own adapter, but for two things.

The SDK keeps a pool of connections for every different path and query, and forgets to close a socket that could not be connected. Here
all requests of a client share one pool, and what fails is closed. Importing this imports the SDK: do it when it is needed.
"""

from __future__ import annotations

import socket
from typing import Any

import urllib3.connection
import urllib3.connectionpool
from docker.transport import UnixHTTPAdapter


class Connection(urllib3.connection.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise ConnectionError(f"{self._path}: {error}") from error
        self.sock = connection


class Pool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout, maxsize=2)
        self._path, self._seconds = path, timeout

    def _new_conn(self) -> Any:
        return Connection(self._path, self._seconds)


class Adapter(UnixHTTPAdapter):  # type: ignore[misc]
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__(f"http+unix://{path}", timeout)
        self._pool = Pool(path, timeout)

    def get_connection(self, url: str, proxies: Any = None) -> Pool:
        del url, proxies
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()

"""Load by ``wrk``: one thread, so many connections, for so long; what came back and how fast.

In: a URL, headers, and for writes a body in which ``NAME`` stands for a name that no other request has; all are as long as it, so that
lengths within a body stay true. Out: answers per second, or the first that was not of the class 2xx.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

#: wrk takes whole seconds only.
_LEAST = 1
NAME = "a-name-of-its-own"
_runs = itertools.count(1)


def unique(number: int = 0) -> str:
    """A name for one run of load, or the beginning of those of its requests; as long as NAME."""
    return f"run-{next(_runs):04}-{number:08}"


_SCRIPT = """
local method, path, body = %s, %s, %s
local names, cycle, count = %s, %d, 0
local head, tail = nil, nil
if body then
  local at = body:find("a-name-of-its-own", 1, true)
  if at then head, tail = body:sub(1, at - 1), body:sub(at + 17) end
end
local headers = {%s}
request = function()
  count = count + 1
  local where, what = path, body
  local number = cycle > 0 and count %% cycle or count
  if where:find("@NUMBER@", 1, true) then where = where:gsub("@NUMBER@", number) end
  if head then what = head .. names .. string.format("%%08d", count) .. tail end
  return wrk.format(method, where, headers, what)
end
local wrong = 0
response = function(status, headers, body)
  if status > 299 then
    wrong = wrong + 1
    if wrong == 1 then print("FIRST " .. status .. " " .. body:sub(1, 300)) end
  end
end
done = function(summary, latency, requests)
  print(string.format("RESULT %%d %%d %%d %%d", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99)))
end
"""


class NoLoad(Exception):
    """The load could not be made; the text says why and what to do."""


@dataclass(frozen=True)
class Loaded:
    """What one run of wrk saw. Latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def wrk(
    url: str, *, clients: int, seconds: float, headers: dict[str, str] | None = None, method: str = "GET", body: bytes = b"", cycle: int = 0
) -> Loaded:
    """``@NUMBER@`` in the URL counts the requests, from anew after ``cycle`` of them. Raises NoLoad when any answer was an error."""
    if shutil.which("wrk") is None:
        raise NoLoad("wrk is not installed: `make bench` installs it where it may, else `apt-get install wrk`")
    base, path = re.fullmatch(r"(https?://[^/]+)(/.*)", url).groups()  # type: ignore[union-attr]
    fields = ", ".join(f"[{_lua(name)}] = {_lua(value)}" for name, value in (headers or {}).items())
    script = _SCRIPT % (_lua(method), _lua(path), _lua(body) if body else "nil", _lua(unique()[:-8]), cycle, fields)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{max(_LEAST, round(seconds))}s", "--timeout", "30s", "-s", file.name, base]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    first = re.search(r"^FIRST (.*)$", found.stdout, re.M)
    result = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+)$", found.stdout, re.M)
    if found.returncode or result is None or first is not None:
        raise NoLoad(f"{method} {path}: {first[1] if first else found.stdout + found.stderr}")
    requests, micros, p50, p99 = map(int, result.groups())
    return Loaded(requests, micros / 1e6, p50 / 1000, p99 / 1000)


def _lua(text: str | bytes) -> str:
    """A string of Lua with every byte as it is."""
    return '"' + "".join(f"\\{byte:03}" for byte in (text.encode() if isinstance(text, str) else text)) + '"'

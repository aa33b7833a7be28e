"""Load by ``wrk``: one thread, so many connections, for so long; what came back and how fast.

In: a URL, a token, and for writes a body in which ``@NAME@`` stands for a name that no other request has. Out: answers per second
and how many of them were not of the class 2xx.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

#: wrk takes whole seconds only.
_LEAST = 1
_runs = itertools.count(1)

_SCRIPT = """
local method, path, body = %s, %s, %s
local names, cycle, count = %s, %d, 0
local head, tail = nil, nil
if body then
  local at = body:find("@NAME@", 1, true)
  if at then head, tail = body:sub(1, at - 1), body:sub(at + 6) end
end
local headers = {["Authorization"] = %s, ["Content-Type"] = %s, ["Accept"] = "application/json"}
request = function()
  count = count + 1
  local where, what = path, body
  local number = cycle > 0 and count %% cycle or count
  if where:find("@NUMBER@", 1, true) then where = where:gsub("@NUMBER@", number) end
  if head then what = head .. names .. count .. tail end
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
    url: str,
    *,
    clients: int,
    seconds: float,
    token: str = "",
    method: str = "GET",
    body: str = "",
    content_type: str = "application/json",
    cycle: int = 0,
) -> Loaded:
    """``@NUMBER@`` in the URL counts the requests, from anew after ``cycle`` of them. Raises NoLoad when any answer was an error."""
    if shutil.which("wrk") is None:
        raise NoLoad("wrk is not installed: `make bench` installs it where it may, else `apt-get install wrk`")
    base, path = re.fullmatch(r"(https?://[^/]+)(/.*)", url).groups()  # type: ignore[union-attr]
    literals = (json.dumps(method), json.dumps(path), _lua(body), json.dumps(f"b{next(_runs)}-"))
    script = _SCRIPT % (*literals, cycle, json.dumps(f"Bearer {token}"), json.dumps(content_type))
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


def _lua(text: str) -> str:
    return f"[==[{text}]==]" if text else "nil"

"""Load over HTTP/2 by ``h2load`` (Debian's nghttp2-client): so many connections of one stream each, as so many clients are.

h2load sends one body for a run and takes paths from a file. So new objects have a generateName, and changes, which each have to be
of another object, come from a process per client: each has its own share of the paths, and goes through it once.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.load import Loaded, NoLoad

#: A run of given length ends by itself; one over a share of paths may take this long.
MOST_SECONDS = 300


def h2load(
    url: str, *, clients: int, seconds: float, headers: dict[str, str], method: str = "GET", body: bytes = b"", paths: Sequence[str] = ()
) -> Loaded:
    """``url`` again and again for so long; or each of ``paths`` (GET: again and again; else: once). Raises NoLoad on an answer but 2xx."""
    if shutil.which("h2load") is None:
        raise NoLoad("h2load is not installed: `make bench` installs it where it may, else `apt-get install nghttp2-client`")
    once = method == "PATCH" and bool(paths)
    shares = [paths[number::clients] for number in range(clients)] if once else [paths]
    with tempfile.TemporaryDirectory(prefix="bareboat-h2load-") as name:
        folder = Path(name)
        (folder / "body").write_bytes(body)
        common = ["h2load", "--npn-list=h2", *_options(method, headers)] + (["-d", str(folder / "body")] if body else [])
        extents = [["-c1", f"-n{len(share)}"] if once else [f"-c{clients}", f"-D{seconds * 1000:.0f}ms"] for share in shares]
        running = [
            _start(folder / str(number), [*common, *extent], url, share)
            for number, (share, extent) in enumerate(zip(shares, extents, strict=True))
        ]
        said = _ended(running, f"{method} {url}")
        answers = [line for number in range(len(shares)) for line in _log(folder / str(number))]
    if any(process.returncode for process in running) or not answers:
        raise NoLoad(f"{method} {url} over HTTP/2: {said[-1000:]}")
    return _loaded(answers, f"{method} {url}")


def _ended(running: list[subprocess.Popen[str]], what: str) -> str:
    """What the first of them said, when all have ended. Raises NoLoad; none is left then."""
    until = time.monotonic() + MOST_SECONDS
    try:
        said = [process.communicate(timeout=max(0.0, until - time.monotonic()))[0] for process in running]
        return said[0]
    except subprocess.TimeoutExpired:
        raise NoLoad(f"{what} over HTTP/2: not done after {MOST_SECONDS} s") from None
    finally:
        for process in running:
            process.kill()
            process.wait()


def _options(method: str, headers: dict[str, str]) -> list[str]:
    return [word for name, value in {":method": method, **headers}.items() for word in ("-H", f"{name}: {value}")]


def _start(prefix: Path, command: list[str], url: str, share: Sequence[str]) -> subprocess.Popen[str]:
    where = [url]
    if share:
        listed = prefix.with_suffix(".paths")
        listed.write_text("".join(f"{path}\n" for path in share))
        where = ["-i", str(listed)]
    command = [*command, f"--log-file={prefix.with_suffix('.log')}", *where]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _log(prefix: Path) -> list[tuple[int, int, int]]:
    """Of each answer: microseconds since the epoch when it was asked for, its status, microseconds until it was there."""
    log = prefix.with_suffix(".log")
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(began), int(status), int(took)) for began, status, took in (line.split("\t")[:3] for line in lines)]


def _loaded(answers: list[tuple[int, int, int]], what: str) -> Loaded:
    wrong = Counter(status for _, status, _ in answers if not 200 <= status <= 299)
    if wrong:
        counts = ", ".join(f"{count} × {status}" for status, count in wrong.most_common())
        raise NoLoad(f"{what} over HTTP/2: of {len(answers)} answers {counts}")
    seconds = (max(began + took for began, _, took in answers) - min(began for began, _, _ in answers)) / 1e6
    times = sorted(took / 1000 for _, _, took in answers)
    return Loaded(len(answers), seconds, times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))])

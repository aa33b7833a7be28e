"""One round of every fault against a real server: nothing acknowledged is lost, nothing refused appears, no watch misses anything.

The long version is ``make torture``.
"""

import json
import os
import shutil

import pytest

from bareboat.testing.postgres import programs
from bareboat.testing.torture import __main__ as torture
from bareboat.testing.torture.faults import FAULTS
from bareboat.testing.torture.fleet import FAULTS as FLEET_FAULTS


@pytest.mark.root
@pytest.mark.timeout(180)
def test_no_fault_makes_a_server_lie(capsys):
    if os.geteuid() != 0 or shutil.which("strace") is None:
        pytest.skip("disks of its own and failing system calls need root and strace")
    code = torture.main(["--store", "sqlite", "--rounds", "1", "--quiet", "--seed", "1", "--output", "json"])
    report = json.loads(capsys.readouterr().out)
    assert code == 0, report
    lines = report["lines"]
    assert {f.name for f in FAULTS if f.needs != "disk"} <= set(lines)
    assert all(line["violations"] == [] and line["operations"]["ok"] > 20 for line in lines.values())
    assert lines["fsync fails (EIO)"]["operations"]["failed"] > 0


@pytest.mark.timeout(300)
def test_nor_three_servers_over_one_database(capsys):
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    code = torture.main(["--store", "postgres", "--rounds", "1", "--quiet", "--seed", "1", "--output", "json"])
    report = json.loads(capsys.readouterr().out)
    assert code == 0, report
    lines = report["lines"]
    assert set(lines) == {f.name for f in FLEET_FAULTS}
    assert all(line["violations"] == [] and line["operations"]["ok"] > 20 for line in lines.values())


def test_a_fault_that_there_is_not_is_named():
    with pytest.raises(SystemExit, match=r"no fault is called sunshine; there are: kill -9, "):
        torture.main(["--faults", "sunshine"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--store", "postgres", "--command", "server"], "--command is for one server on local files"),
        (["--store", "sqlite", "--faults", "3 servers: pause"], "names none of the faults of --store sqlite"),
        (["--command", "server", "--faults", "3 servers: pause"], "names none of the faults of --store all"),
    ],
)
def test_what_would_strike_nothing_is_refused(words, told):
    with pytest.raises(SystemExit, match=told):
        torture.main(words)

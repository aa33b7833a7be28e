"""The parts of the torture that judge: what a cut WAL may leave, and which faults strike how often."""

from bareboat.testing.histories import History, Operation, Seen, Watched
from bareboat.testing.torture.faults import Kill, Pause, Stop
from bareboat.testing.torture.rounds import learned, prefix_problems, schedule

LOG = [("torture-0", 1, "a"), ("torture-1", 2, "b"), ("torture-0", 3, "c"), ("torture-2", 4, "d")]


def after(**final):
    changes = {}
    learned(changes, History([], [Watched(0, [Seen(*entry) for entry in LOG])]))
    return prefix_problems(changes, History(final={f"torture-{k[1:]}": v for k, v in final.items()})), changes


def test_any_prefix_of_the_log_may_be_left():
    assert after() == ([], {})
    assert after(k0=(1, "a"))[0] == []
    problems, changes = after(k0=(1, "a"), k1=(2, "b"))
    assert (problems, sorted(changes)) == ([], [1, 2])
    assert after(k0=(3, "c"), k1=(2, "b"), k2=(4, "d"))[0] == []


def test_the_last_that_is_left_may_be_a_delete():
    log = [Seen("torture-0", 1, "a"), Seen("torture-1", 2, "b"), Seen("torture-0", 3, "a", True), Seen("torture-2", 4, "c")]
    changes = {seen.revision: seen for seen in log}
    assert prefix_problems(changes, History(final={"torture-1": (2, "b")})) == []
    assert sorted(changes) == [1, 2, 3]
    changes = {seen.revision: seen for seen in log if not seen.deleted}
    assert prefix_problems(changes, History(final={"torture-1": (2, "b")})) != []


def test_holes_mixtures_and_inventions_may_not():
    assert after(k1=(2, "b"))[0] == ["torture-0 is None at the end, where revision 2 had (1, 'a')"]
    assert after(k0=(1, "a"), k1=(2, "b"), k2=(4, "d"))[0]
    assert after(k0=(1, "z"))[0]


def test_what_was_deleted_may_be_gone():
    changes = {1: Seen("torture-0", 1, "a"), 2: Seen("torture-1", 2, "b")}
    delete = Operation(kind="delete", key="torture-0", begin=1, end=2, outcome="ok")
    assert prefix_problems(changes, History([delete], [], {"torture-1": (2, "b")})) == []


def test_the_first_fault_strikes_every_time_and_the_others_now_and_then():
    names = [fault.name for fault in schedule([Kill(), Stop(), Pause()], 20)]
    assert (names.count("kill -9"), names.count("restart"), names.count("pause")) == (20, 2, 2)

"""What evaluating may cost: bombs are cut off before they go off, and what is cheap is let be."""

import time

import pytest

from bareboat.cel.environment import compiled
from bareboat.cel.limits import CANCELLED, SPENT, Budget, ExpressionError, OutOfBudget, exceeding
from bareboat.cel.shapes import Held, Shape, listed, text

DOUBLED = "cel.bind(a, self + self, cel.bind(b, a + a, cel.bind(c, b + b, cel.bind(d, c + c, cel.bind(e, d + d, {})))))"
BOMBS = [
    ("nested loops", "self.all(a, self.all(b, self.all(c, self.all(d, self.all(e, a != 'x')))))", ["y"] * 100),
    ("a text doubled", DOUBLED.format(DOUBLED.format("e.size()").replace("self", "e")), "x" * 1_000_000),
    ("a list doubled", DOUBLED.format(DOUBLED.format("e.size()").replace("self", "e")), [1] * 100_000),
    ("a list from nothing", "lists.range(4000000000).size() > 0", None),
    ("a list from a number", "lists.range(self * self).size() > 0", 1_000_000),
    ("a replacement", "self.replace('', self).size() > 0", "x" * 100_000),
    ("a join", "self.map(x, self).map(y, y.join(',')).join(',').size() > 0", ["x" * 1000] * 1000),
    ("a list of lists", "self.map(x, self.map(y, self)).flatten().flatten().size() > 0", [1] * 1000),
    ("patterns that are compiled each time", "self.all(x, 'abc'.matches(x))", ["(x+x+)+y{100}" * 20] * 1000),
    ("a long text searched again and again", "self.l.all(x, self.t.matches('(a|b)*c'))", {"l": [1] * 5000, "t": "a" * 1_000_000}),
    ("members of members", "self.all(k, v, self.all(l, w, self.all(m, x, v == x)))", {f"k{i}": "v" for i in range(200)}),
]


@pytest.mark.parametrize(("text", "value"), [row[1:] for row in BOMBS], ids=[row[0] for row in BOMBS])
def test_a_bomb_is_cut_off_at_once(text, value):
    program = compiled(text, ("self",))
    begun = time.perf_counter()
    with pytest.raises(ExpressionError, match=CANCELLED):
        program.evaluate({"self": value})
    assert time.perf_counter() - begun < 10


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("self.all(x, x.startsWith('a'))", ["abc"] * 5000),
        ("self.all(x, self.exists_one(y, y == x))", [f"n{i}" for i in range(64)]),
        ("self.matches('^[a-z]+$')", "a" * 10_000),
        ("self.map(x, x + '-suffix').join(',').size() > 0", ["abc"] * 1000),
        ("lists.range(self).size() == 100", 100),
    ],
)
def test_what_real_rules_do_is_cheap_enough(text, value):
    assert compiled(text, ("self",)).evaluate({"self": value}) is True


def test_several_expressions_share_a_budget():
    budget = Budget(1000)
    program = compiled("self.all(x, x > 0)", ("self",))
    assert program.evaluate({"self": [1] * 100}, budget) is True
    with pytest.raises(OutOfBudget, match=SPENT):
        program.evaluate({"self": [1] * 200}, budget)


SELF = Shape("object", 2, members={"names": listed(10, text(63)), "count": Held([3]), "text": text(100)}.get)


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("self.nope == 1", "undefined field 'nope'"),
        ("self.names.all(n, n.first == 'a')", "type 'string' does not support field selection"),
        ("self.text == 1", "found no matching overload for '_==_' applied to '(string, int)'"),
        ("self.count + self.text == 1", "found no matching overload for '_+_' applied to '(int, string)'"),
        ("self.text + 'a' == 'b' && self.names.size() < 3", ""),
    ],
)
def test_members_and_operands_that_cannot_be_are_found_without_a_value(expression, fault):
    found = compiled(expression, ("self",)).estimate({"self": SELF})
    assert [said for _, said in found.faults][:1] == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("cost", "shown"), [(10_100_000, "1.010000x"), (25_000_000, "2.5x"), (2_000_000_000, "more than 100x")], ids=["just", "some", "far"]
)
def test_an_estimate_says_how_far_it_is_off(cost, shown):
    assert exceeding("estimated rule cost", cost, 10_000_000).startswith(f"estimated rule cost exceeds budget by factor of {shown} (try")

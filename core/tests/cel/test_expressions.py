"""Expressions: the language, the libraries of Kubernetes, macros with two variables, and what errors say."""

import pytest

from bareboat.cel.environment import compiled
from bareboat.cel.limits import ExpressionError

SELF = {
    "list": [1, 2, 3],
    "map": {"a": 1, "b": 2},
    "text": "abc-12",
    "time": "2024-05-01T10:00:00Z",
    "span": "1h30m",
    "none": None,
    "items": [{"name": "x", "v": 1}, {"name": "y", "v": 2}],
}

VALUES = [
    ("self.list.sum()", 6),
    ("self.list.min() + self.list.max()", 4),
    ("self.list.indexOf(2)", 1),
    ("self.list.lastIndexOf(9)", -1),
    ("self.map.?c.orValue(7)", 7),
    ("has(self.none) && self.none == null", True),
    ("self.items.map(i, i.name).join('+')", "x+y"),
    ("self.text.find('[0-9]+')", "12"),
    ("self.text.findAll('[a-z]', 2)", ["a", "b"]),
    ("self.time > timestamp('2024-01-01T00:00:00Z')", True),
    ("timestamp('2025-01-01T00:00:00Z') <= self.time", False),
    ("self.span > duration('1h')", True),
    ("quantity('1.5Gi').compareTo(quantity('1536Mi'))", 0),
    ("quantity('1').add(quantity('500m')).sub(1).asApproximateFloat()", 0.5),
    ("quantity('1') == quantity('1000m')", True),
    ("isQuantity('1x')", False),
    ("url('https://u@h.example:8443/p%20q?a=1&a=2').getHost()", "h.example:8443"),
    ("url('https://h.example:8443/p%20q?a=1&a=2').getEscapedPath()", "/p%20q"),
    ("url('https://h.example/?a=1&a=2').getQuery()['a']", ["1", "2"]),
    ("isURL('../a')", False),
    ("ip('127.0.0.1').isLoopback() && ip('fe80::1').isLinkLocalUnicast()", True),
    ("ip.isCanonical('2001:DB8::1')", False),
    ("isIP('::ffff:1.2.3.4')", False),
    ("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", True),
    ("string(cidr('10.1.2.3/8').masked())", "10.0.0.0/8"),
    ("cidr('10.1.2.3/8').ip() == ip('10.1.2.3')", True),
    ("semver('1.2.3-alpha.1').isLessThan(semver('1.2.3'))", True),
    ("semver('v01.2', true).major()", 1),
    ("format.named('nope').hasValue()", False),
    ("format.uuid().validate('x').value()[0]", "does not match the UUID format"),
    ("sets.intersects(self.list, [3, 4])", True),
    ("cel.bind(x, 2, x * x)", 4),
    ("self.list.all(i, v, v == i + 1)", True),
    ("self.map.exists(k, v, k == 'b' && v == 2)", True),
    ("self.map.existsOne(k, v, v > 0)", False),
    ("self.list.transformList(i, v, i * v)", [0, 2, 6]),
    ("self.list.transformList(i, v, i > 0, v)", [2, 3]),
    ("self.map.transformMap(k, v, v + 1)", {"a": 2, "b": 3}),
    ("self.map.transformMapEntry(k, v, {v: k})[1]", "a"),
    ("self.items.all(i, v, self.map.exists(k, w, w == v.v))", True),
    ("'x.all(a, b, c)' == \"x.all(a, b, c)\"", True),
]


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[row[0] for row in VALUES])
def test_it_evaluates(text, value):
    assert compiled(text, ("self",)).evaluate({"self": SELF}) == value


FAULTS = [
    ("self.nope", "no such key: nope"),
    ("self.list[9]", "index out of bounds: 9"),
    ("1 / self.none", "no such overload"),
    ("[].min()", "min called on empty list"),
    ("quantity('x')", "quantities must match the regular expression"),
    ("quantity('1').isLessThan(semver('1.2.3'))", "no such overload"),
    ("ip('300.0.0.1')", "300.0.0.1"),
]


@pytest.mark.parametrize(("text", "said"), FAULTS)
def test_it_fails_and_says_why(text, said):
    with pytest.raises(ExpressionError, match=said.replace("(", r"\(")):
        compiled(text, ("self",)).evaluate({"self": SELF})


@pytest.mark.parametrize("text", ["1 +", "'a' + 1", "unknown.x", "self.list.all(x, x", "self.f(1)", "self.list.all(i, v, )"])
def test_what_is_no_expression_does_not_compile(text):
    with pytest.raises(ExpressionError, match="ERROR: <input>:1"):
        compiled(text, ("self",))

"""Whether a key comes twice, wherever it is and however often its spec was seen."""

import random

import msgspec
import pytest

from bareboat.models import repeats
from bareboat.models.repeats import has_duplicates

SPEC = '{"containers":[{"name":"c","args":["a:b","c::d"],"env":[{"name":"e","value":"{\\"x\\":1}"}]}]}'


@pytest.mark.parametrize(
    "body",
    [
        f'{{"kind":"Pod","kind":"Pod","spec":{SPEC}}}',
        f'{{"spec":{SPEC},"spec":{SPEC}}}',
        f'{{"metadata":{{"name":"a","name":"b"}},"spec":{SPEC}}}',
        '{"spec":{"a":{"b":1,"b":1}}}',
        '{"spec":{"a":[{"b":1},{"b":1,"c":{"d":1,"d":2}}]}}',
        '{"data":{"a":"1","a":"2"}}',
        '{"spec":{},"data":{"a":"1","a":"2"}}',
    ],
)
def test_a_key_that_comes_twice_is_noticed_every_time(body):
    assert [has_duplicates(body.encode()) for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(
    "body",
    [
        f'{{"kind":"Pod","metadata":{{"name":"a:b"}},"spec":{SPEC},"status":{{}}}}',
        f'{{ "spec" : {SPEC} , "metadata" : {{ "labels" : {{ "a:b" : "c:d" }} }} }}',
        '{"a:b":{"c":1},"spec":null}',
        '{"spec":"text: of one","spec2":[]}',
        "{}",
        '["a:b",{"c":1}]',
    ],
)
def test_colons_elsewhere_are_no_keys(body):
    assert [has_duplicates(body.encode()) for _ in range(2)] == [False] * 2


def test_what_is_beside_a_known_spec_is_looked_at_anew():
    assert not has_duplicates(f'{{"metadata":{{"name":"a"}},"spec":{SPEC}}}'.encode())
    assert has_duplicates(f'{{"metadata":{{"name":"a","name":"a"}},"spec":{SPEC}}}'.encode())
    assert has_duplicates(f'{{"spec":{SPEC},"metadata":{{}},"metadata":{{}}}}'.encode())


def test_a_key_that_comes_twice_in_what_else_is_long_is_noticed_every_time():
    data = ",".join(f'"key-{number}":"value: {number}"' for number in range(20))
    assert [has_duplicates(f'{{"metadata":{{"name":"n{i}"}},"data":{{{data}}}}}'.encode()) for i in range(3)] == [False] * 3
    assert [has_duplicates(f'{{"metadata":{{"name":"n{i}"}},"data":{{{data},"key-1":""}}}}'.encode()) for i in range(3)] == [True] * 3
    assert has_duplicates(f'{{"data":{{{data}}},"data":{{{data}}}}}'.encode())


def test_only_so_many_parts_are_remembered_and_none_that_is_small_or_large():
    fill = b"x" * repeats.SMALLEST
    for number in range(3 * repeats.MOST):
        assert not has_duplicates(b'{"spec":{"a":"%d%b"}}' % (number, fill))
    assert 0 < len(repeats._known) <= repeats.MOST
    repeats._known.clear()
    assert not has_duplicates(b'{"spec":{"a":1},"data":{"a":"%b"}}' % (b"x" * repeats.LARGEST))
    assert not repeats._known


def test_random_bodies_are_judged_as_their_whole_tree_is():
    chance = random.Random(3)

    def text(depth: int) -> str:
        kind = chance.randrange(4 if depth else 2)
        if kind == 0:
            return chance.choice(['"a:b"', "1", "null", '"\\"k\\":1"', "[]"])
        if kind == 1:
            return "[" + ",".join(text(depth - 1) for _ in range(chance.randrange(3) if depth else 0)) + "]"
        return "{" + ",".join(f'"{chance.choice("abcdefgh")}":{text(depth - 1)}' for _ in range(chance.randrange(4))) + "}"

    for _ in range(500):
        names = chance.sample(["kind", "metadata", "spec", "status", "spec"], chance.randrange(1, 4))
        body = ("{" + ",".join(f'"{name}":{text(3)}' for name in names) + "}").encode()
        whole = msgspec.json.encode(msgspec.json.decode(body)).count(b":") != body.count(b":")
        assert has_duplicates(body) == whole, body


def test_nothing_of_a_body_is_kept():
    secret = "c2VjcmV0" * 40
    assert not has_duplicates(f'{{"kind":"Secret","data":{{"password":"{secret}"}}}}'.encode())
    assert repeats._known
    assert secret not in repr(repeats._known)

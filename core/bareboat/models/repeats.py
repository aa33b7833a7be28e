"""Whether a JSON body names a key twice. In: bytes that decode. Out: yes or no; yes also for unusual spelling, the slow way then decides.

What is counted is colons: a tree keeps one of two equal keys, so it is written with fewer than the body has. Objects of one template
have the same spec, and copies the same data: of the last parts the count is remembered, and only what is beside them is made into a tree.
"""

from __future__ import annotations

from typing import Any

import msgspec

#: Parts that are remembered, and their size: a smaller one is looked at as fast. Of a part its hash is kept, as it may be a secret;
#: that of Python has 64 bits and a random key, and two parts with the same would cost a warning about the second's keys.
MOST, SMALLEST, LARGEST = 1024, 128, 16 * 1024
split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_tree = msgspec.json.Decoder(Any).decode
_encode = msgspec.json.Encoder().encode
_known: dict[int, int] = {}


def has_duplicates(data: bytes) -> bool:
    """Of a body that is an object; of anything else whatever the tree says."""
    try:
        return repeats_in(split(data), data)
    except msgspec.ValidationError:
        return _colons(data) < 0


def repeats_in(parts: dict[str, msgspec.Raw], data: bytes) -> bool:
    """The same of a body and its parts."""
    count = len(parts)
    for name, value in parts.items():
        part = bytes(value)
        below = _colons(part) if name == "metadata" else _of_part(part)
        if below < 0:
            return True
        count += below + name.count(":")
    return count != data.count(b":")


def _of_part(part: bytes) -> int:
    if not SMALLEST <= len(part) <= LARGEST:
        return _colons(part)
    key = hash(part)
    count = _known.get(key)
    if count is None:
        count = _colons(part)
        if count >= 0:
            if len(_known) >= MOST:
                _known.clear()
            _known[key] = count
    return count


def _colons(data: bytes) -> int:
    """-1: its tree has another number of them."""
    count = data.count(b":")
    return count if not count or _encode(_tree(data)).count(b":") == count else -1

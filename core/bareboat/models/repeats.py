"""Whether a JSON body names a key twice. In: bytes that decode. Out: yes or no; yes also for unusual spelling, the slow way then decides.

What is counted is colons: a tree keeps one of two equal keys, so it is written with fewer than the body has. Objects of one template
have the same spec: of the last specs the count is remembered, and only what is beside them is made into a tree.
"""

from __future__ import annotations

from typing import Any

import msgspec

#: Specs that are remembered, and the size of the largest.
MOST, LARGEST = 256, 16 * 1024
_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_tree = msgspec.json.Decoder(Any).decode
_encode = msgspec.json.Encoder().encode
_specs: dict[bytes, int] = {}


def has_duplicates(data: bytes) -> bool:
    """Of a body that is an object; of anything else whatever the tree says."""
    try:
        parts = _split(data)
    except msgspec.ValidationError:
        return _colons(data) < 0
    spec = parts.pop("spec", None)
    if spec is None:
        return _colons(data) < 0
    count = _of_spec(bytes(spec))
    if count < 0:
        return True
    count += 1  # its own
    for name, value in parts.items():
        below = _colons(bytes(value))
        if below < 0:
            return True
        count += below + 1 + name.count(":")
    return count != data.count(b":")


def _of_spec(spec: bytes) -> int:
    count = _specs.get(spec)
    if count is None:
        count = _colons(spec)
        if count >= 0 and len(spec) <= LARGEST:
            if len(_specs) >= MOST:
                _specs.clear()
            _specs[spec] = count
    return count


def _colons(data: bytes) -> int:
    """-1: its tree has another number of them."""
    count = data.count(b":")
    return count if not count or _encode(_tree(data)).count(b":") == count else -1

"""DNS messages, as much of RFC 1035 as answering takes: questions in, answers out. Pure.

What comes in: bytes of a query or a reply. What goes out: its question or answers; a reply is built from Records. Names are lower case
and without the last dot.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence

import msgspec

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 41, 255
NOERROR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 2, 3, 4, 5
_HEADER = struct.Struct("!6H")
_RESPONSE, _AUTHORITATIVE, _TRUNCATED, _WANTED, _AVAILABLE = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
#: Bytes of an answer over UDP for a client that does not say more.
PLAIN = 512


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """``wire`` is the question as it was asked; ``size`` what the client takes over UDP."""

    id: int
    flags: int
    name: str
    kind: int
    wire: bytes
    size: int = PLAIN


class Record(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: int
    data: bytes
    ttl: int = 5


def parse(query: bytes) -> Question:
    """Raises ValueError for what is no query with one question."""
    try:
        number, flags, questions, *_ = _HEADER.unpack_from(query)
        if flags & _RESPONSE or questions != 1:
            raise ValueError("not one question")
        name, end = _name(query, _HEADER.size)
        kind, _ = struct.unpack_from("!2H", query, end)
    except (struct.error, IndexError) as error:
        raise ValueError("not a DNS query") from error
    wire = query[_HEADER.size : end + 4]
    return Question(id=number, flags=flags, name=name, kind=kind, wire=wire, size=_size(query[end + 4 :]))


def _size(rest: bytes) -> int:
    """From an OPT record, if the query has one."""
    if len(rest) >= 5 and rest[0] == 0 and rest[1:3] == OPT.to_bytes(2, "big"):
        return max(PLAIN, int.from_bytes(rest[3:5], "big"))
    return PLAIN


def _name(message: bytes, at: int) -> tuple[str, int]:
    """A name, followed through pointers, and where what comes after it begins."""
    labels: list[str] = []
    end, jumps = -1, 0
    while message[at]:
        length = message[at]
        if length >= 0xC0:
            end = at + 2 if end < 0 else end
            at = (length & 0x3F) << 8 | message[at + 1]
            jumps += 1
            if jumps > 64:
                raise ValueError("a name that leads in circles")
            continue
        if at + 1 + length >= len(message):
            raise ValueError("a name that is cut off")
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    return ".".join(labels), end if end >= 0 else at + 1


def encode_name(name: str) -> bytes:
    found = b"".join(bytes([len(label)]) + label for label in (part.encode("latin-1") for part in name.split(".") if part))
    return found + b"\0"


def query(number: int, name: str, kind: int) -> bytes:
    return _HEADER.pack(number, _WANTED, 1, 0, 0, 0) + encode_name(name) + struct.pack("!2H", kind, 1)


def reply(
    question: Question,
    answers: Sequence[Record],
    code: int = NOERROR,
    *,
    authority: Sequence[Record] = (),
    extra: Sequence[Record] = (),
    limit: int = 65535,
) -> bytes:
    """Cut off, and marked so, where it is longer than ``limit``: the client asks again over TCP."""
    flags = _RESPONSE | _AUTHORITATIVE | _AVAILABLE | (question.flags & (_WANTED | 0x7800)) | code
    body = b"".join(map(_record, (*answers, *authority, *extra)))
    if _HEADER.size + len(question.wire) + len(body) > limit:
        return _HEADER.pack(question.id, flags | _TRUNCATED, 1, 0, 0, 0) + question.wire
    return _HEADER.pack(question.id, flags, 1, len(answers), len(authority), len(extra)) + question.wire + body


def _record(record: Record) -> bytes:
    return encode_name(record.name) + struct.pack("!HHIH", record.kind, 1, record.ttl, len(record.data)) + record.data


def addresses(message: bytes) -> list[Record]:
    """The A, AAAA and CNAME records of a reply. Raises ValueError."""
    try:
        _, _, questions, count, *_ = _HEADER.unpack_from(message)
        at = _HEADER.size
        for _ in range(questions):
            at = _name(message, at)[1] + 4
        found = []
        for _ in range(count):
            name, at = _name(message, at)
            kind, _, ttl, length = struct.unpack_from("!HHIH", message, at)
            at += 10
            if kind == CNAME:
                found.append(Record(name=name, kind=kind, data=encode_name(_name(message, at)[0]), ttl=ttl))
            elif kind in (A, AAAA):
                found.append(Record(name=name, kind=kind, data=message[at : at + length], ttl=ttl))
            at += length
    except (struct.error, IndexError) as error:
        raise ValueError("not a DNS reply") from error
    return found


def address(name: str, text: str) -> Record:
    found = ipaddress.ip_address(text)
    return Record(name=name, kind=A if found.version == 4 else AAAA, data=found.packed)


def service(name: str, port: int, target: str, weight: int) -> Record:
    return Record(name=name, kind=SRV, data=struct.pack("!3H", 0, weight, port) + encode_name(target))


def start_of_authority(zone: str) -> Record:
    numbers = struct.pack("!5I", 1, 7200, 1800, 86400, 5)
    return Record(name=zone, kind=SOA, data=encode_name(f"ns.dns.{zone}") + encode_name(f"hostmaster.{zone}") + numbers)

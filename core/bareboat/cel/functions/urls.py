"""url(): absolute URLs and absolute paths, taken apart."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, urlsplit

from bareboat.cel.functions.function import Function, Opaque, inside, opaque

KIND = "kubernetes.URL"


def _made(text: str) -> Opaque:
    _split(text)
    return opaque(KIND, text)


def _split(text: str) -> SplitResult:
    """Raises ValueError for what is no absolute URL or path."""
    parts = urlsplit(text)
    if any(c.isspace() or ord(c) < 32 for c in text) or not (parts.scheme or text.startswith("/")):
        raise ValueError(f"URL parse error during conversion from string: parse {text!r}: invalid URI for request")
    _ = parts.port  # raises ValueError for a port that is no number
    return parts


def _valid(text: str) -> bool:
    try:
        _split(text)
    except ValueError:
        return False
    return True


def _parts(url: Opaque) -> SplitResult:
    parts: SplitResult = urlsplit(inside(KIND, url))
    return parts


def _host(url: Opaque) -> str:
    return _parts(url).netloc.rpartition("@")[2]


def _port(url: Opaque) -> str:
    port = _parts(url).port
    return "" if port is None else str(port)


FUNCTIONS = (
    Function("url", _made, "string", "map"),
    Function("isURL", _valid, "string", "bool"),
    Function("getScheme", lambda u: _parts(u).scheme, "map", "string", member=True),
    Function("getHost", _host, "map", "string", member=True),
    Function("getHostname", lambda u: _parts(u).hostname or "", "map", "string", member=True),
    Function("getPort", _port, "map", "string", member=True),
    Function("getEscapedPath", lambda u: _parts(u).path, "map", "string", member=True),
    Function("getQuery", lambda u: parse_qs(_parts(u).query, keep_blank_values=True), "map", "map", member=True),
)

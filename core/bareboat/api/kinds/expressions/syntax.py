"""Reads a CEL expression and checks the names that it begins with. In: text and the variables that exist. Out: a kind of value.

The kind is what can be told without types: bool, int, uint, double, string, bytes, null, list, map, or dyn for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bareboat.api.kinds.expressions.tokens import RESERVED, ExpressionFault, Token, tokens

_TYPES = frozenset(("bool", "bytes", "double", "duration", "dyn", "int", "list", "map", "null_type", "string", "timestamp", "type", "uint"))
_FUNCTIONS = _TYPES | frozenset(
    (
        *("has", "size", "matches", "quantity", "isQuantity", "url", "isURL", "ip", "isIP", "cidr", "isCIDR", "semver", "isSemver"),
        *("getDate", "getDayOfMonth", "contains", "startsWith", "endsWith"),
    )
)
_PACKAGES = frozenset(
    ("base64", "cel", "format", "google", "jsonpatch", "lists", "math", "optional", "regex", "sets", "strings", "ip", "Object")
)
_MACROS = {"all": (1, 2), "exists": (1, 2), "exists_one": (1, 2), "existsOne": (1, 2), "map": (1, 1), "filter": (1, 1)}
_TWO = {"transformList": 2, "transformMap": 2, "transformMapEntry": 2, "bind": 1, "optMap": 1, "optFlatMap": 1, "sortBy": 1}
_COMPARE = ("==", "!=", "<", "<=", ">", ">=")
_DEEPEST = 200


def check(text: str, variables: Iterable[str]) -> str:
    """The kind of its value. Raises ExpressionFault."""
    reader = _Reader(text, frozenset(variables))
    try:
        kind = reader.expression()
    except RecursionError:
        raise ExpressionFault(text, 0, "expression nesting is too deep") from None
    end = reader.peek()
    if end.kind != "end":
        raise reader.unexpected(end)
    return kind


class _Reader:
    def __init__(self, text: str, variables: frozenset[str]) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._known = [variables]
        self._depth = 0

    def peek(self) -> Token:
        return self._tokens[self._at]

    def unexpected(self, token: Token) -> ExpressionFault:
        return ExpressionFault(self._text, token.place, f"Syntax error: mismatched input '{token.text}'")

    def _take(self, *symbols: str) -> Token | None:
        token = self.peek()
        if token.kind == "symbol" and token.text in symbols:
            self._at += 1
            return token
        return None

    def _need(self, symbol: str) -> None:
        if self._take(symbol) is None:
            raise self.unexpected(self.peek())

    def expression(self) -> str:
        """A condition with its two branches, or less."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ExpressionFault(self._text, self.peek().place, "expression recursion limit exceeded: 250")
        kind = self._chain(("||",), lambda: self._chain(("&&",), self._relation, "bool"), "bool")
        if self._take("?"):
            kind = self._chain(("||",), lambda: self._chain(("&&",), self._relation, "bool"), "bool")
            self._need(":")
            other = self.expression()
            kind = kind if kind == other else "dyn"
        self._depth -= 1
        return kind

    def _chain(self, symbols: tuple[str, ...], part: Callable[[], str], result: str) -> str:
        kind = part()
        while self._take(*symbols):
            part()
            kind = result
        return kind

    def _relation(self) -> str:
        kind = self._sum()
        while self._take(*_COMPARE) or self._word("in"):
            self._sum()
            kind = "bool"
        return kind

    def _word(self, word: str) -> bool:
        token = self.peek()
        if token.kind == "name" and token.text == word:
            self._at += 1
            return True
        return False

    def _sum(self) -> str:
        kind = self._product()
        while self._take("+", "-"):
            other = self._product()
            kind = kind if kind == other else "dyn"
        return kind

    def _product(self) -> str:
        kind = self._unary()
        while self._take("*", "/", "%"):
            other = self._unary()
            kind = kind if kind == other else "dyn"
        return kind

    def _unary(self) -> str:
        if self._take("!"):
            while self._take("!"):
                pass
            self._member()
            return "bool"
        if self._take("-"):
            while self._take("-"):
                pass
        return self._member()

    def _member(self) -> str:
        kind = self._primary()
        while True:
            if self._take("."):
                self._take("?")
                kind = self._select()
            elif self._take("["):
                self._take("?")
                self.expression()
                self._need("]")
                kind = "dyn"
            elif self.peek().text == "{" and kind == "name":
                self._entries("}")
                kind = "dyn"
            else:
                return "dyn" if kind == "name" else kind

    def _select(self) -> str:
        token = self.peek()
        if token.kind not in ("name", "quoted"):
            raise self.unexpected(token)
        self._at += 1
        if self._take("("):
            self._arguments(token.text)
            return "dyn"
        return "name"

    def _primary(self) -> str:
        token = self.peek()
        if token.kind in ("int", "uint", "double", "string", "bytes"):
            self._at += 1
            return token.kind
        if self._take("("):
            kind = self.expression()
            self._need(")")
            return kind
        if self._take("["):
            self._items("]")
            return "list"
        if token.text == "{" and token.kind == "symbol":
            self._entries("}")
            return "map"
        self._take(".")
        return self._name()

    def _name(self) -> str:
        token = self.peek()
        if token.kind != "name":
            raise self.unexpected(token)
        if token.text in RESERVED:
            raise ExpressionFault(self._text, token.place, f"reserved identifier: {token.text}")
        self._at += 1
        if token.text in ("true", "false", "null"):
            return "null" if token.text == "null" else "bool"
        if self._take("("):
            if token.text not in _FUNCTIONS:
                raise self._undeclared(token)
            self._arguments(token.text)
            return {"has": "bool", "size": "int"}.get(token.text, token.text if token.text in _TYPES else "dyn")
        if token.text not in self._known[-1] and token.text not in _PACKAGES and token.text not in _TYPES and self.peek().text != "{":
            raise self._undeclared(token)
        return "name"

    def _undeclared(self, token: Token) -> ExpressionFault:
        return ExpressionFault(self._text, token.place, f"undeclared reference to '{token.text}' (in container '')")

    def _arguments(self, function: str) -> None:
        """Macros bind their first arguments as names of the others."""
        bound = self._bound(function)
        if bound:
            self._known.append(self._known[-1] | bound)
        self._items(")")
        if bound:
            self._known.pop()

    def _bound(self, function: str) -> frozenset[str]:
        count = _MACROS[function][1] if function in _MACROS else _TWO.get(function, 0)
        names: list[str] = []
        at = self._at
        while len(names) < count and self._tokens[at].kind == "name" and self._tokens[at + 1].text == ",":
            names.append(self._tokens[at].text)
            at += 2
        return frozenset(names)

    def _items(self, close: str) -> None:
        while not self._take(close):
            self._take("?")
            self.expression()
            if not self._take(","):
                self._need(close)
                return

    def _entries(self, close: str) -> None:
        self._need("{")
        while not self._take(close):
            self._take("?")
            key, colon = self.peek(), self._tokens[min(self._at + 1, len(self._tokens) - 1)]
            if key.kind in ("name", "quoted") and colon.text == ":":
                self._at += 1
            else:
                self.expression()
            self._need(":")
            self.expression()
            if not self._take(","):
                self._need(close)
                return

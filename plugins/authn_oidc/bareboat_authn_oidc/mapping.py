"""From claims to a user: mapped as the options say, and checked by their rules. Expressions are compiled once, at start."""

from __future__ import annotations

from typing import Any

from bareboat.contracts.auth import AuthHost, Expression, InvalidCredential, UserInfo
from bareboat_authn_oidc.options import Jwt, Mapping

Claims = dict[str, Any]


class UserMapping:
    """Of one issuer. Making it raises ValueError for an expression that does not compile."""

    def __init__(self, jwt: Jwt, host: AuthHost) -> None:
        self._host = host
        mappings = jwt.claimMappings
        self._username, self._groups, self._uid = mappings.username, mappings.groups, mappings.uid
        self._compiled: dict[str, Expression] = {}
        for at, text, kinds in (
            ("claimMappings.username.expression", mappings.username.expression, ("string",)),
            ("claimMappings.groups.expression", mappings.groups.expression, ("string", "list")),
            ("claimMappings.uid.expression", mappings.uid.expression, ("string",)),
        ):
            if text:
                self._compiled[at] = self._expression(at, text, "claims", kinds)
        self._extra = [
            (e.key, self._expression(f"claimMappings.extra[{i}].valueExpression", e.valueExpression, "claims", ("string", "list")))
            for i, e in enumerate(mappings.extra)
        ]
        self._claims = [
            (
                rule,
                self._expression(f"claimValidationRules[{i}].expression", rule.expression, "claims", ("bool",))
                if rule.expression
                else None,
            )
            for i, rule in enumerate(jwt.claimValidationRules)
        ]
        self._users = [
            (rule, self._expression(f"userValidationRules[{i}].expression", rule.expression, "user", ("bool",)))
            for i, rule in enumerate(jwt.userValidationRules)
        ]

    def _expression(self, at: str, text: str, variable: str, kinds: tuple[str, ...]) -> Expression:
        try:
            found = self._host.expression(text, (variable,))
        except ValueError as error:
            raise ValueError(f"{at}: {error}") from error
        if found.kind.partition("<")[0] not in (*kinds, "dyn"):
            raise ValueError(f"{at}: gives {found.kind}, not {' or '.join(kinds)}")
        return found

    def user(self, claims: Claims) -> UserInfo:
        """Raises InvalidCredential."""
        for rule, expression in self._claims:
            if expression is None:
                if claims.get(rule.claim) != rule.requiredValue:
                    raise InvalidCredential(f"the claim {rule.claim!r} has not the required value")
            elif _evaluated(expression, "claims", claims) is not True:
                raise InvalidCredential(rule.message or f"the claims do not satisfy {rule.expression!r}")
        user = UserInfo(name=self._name(claims), uid=self._uid_of(claims), groups=self._groups_of(claims), extra=self._extra_of(claims))
        tree = {
            "username": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra.items()},
        }
        for checked, expression in self._users:
            if _evaluated(expression, "user", tree) is not True:
                raise InvalidCredential(checked.message or f"the user does not satisfy {checked.expression!r}")
        return user

    def _name(self, claims: Claims) -> str:
        mapping = self._username
        found = self._value("claimMappings.username.expression", mapping.claim, claims)
        if not isinstance(found, str) or not found:
            raise InvalidCredential("the claims give no name")
        if mapping.claim == "email" and claims.get("email_verified", True) is not True:
            raise InvalidCredential("the address in the claim 'email' is not verified")
        return (mapping.prefix or "") + found

    def _uid_of(self, claims: Claims) -> str:
        found = self._value("claimMappings.uid.expression", self._uid.claim, claims)
        if found is not None and not isinstance(found, str):
            raise InvalidCredential("the uid in the claims is no text")
        return found or ""

    def _groups_of(self, claims: Claims) -> tuple[str, ...]:
        mapping: Mapping = self._groups
        found = _texts(self._value("claimMappings.groups.expression", mapping.claim, claims), "groups")
        return tuple((mapping.prefix or "") + group for group in found)

    def _extra_of(self, claims: Claims) -> dict[str, tuple[str, ...]]:
        found = {key: _texts(_evaluated(expression, "claims", claims), key) for key, expression in self._extra}
        return {key: values for key, values in found.items() if values}

    def _value(self, at: str, claim: str, claims: Claims) -> Any:
        expression = self._compiled.get(at)
        return _evaluated(expression, "claims", claims) if expression is not None else claims.get(claim) if claim else None


def _evaluated(expression: Expression, name: str, value: Any) -> Any:
    """Raises InvalidCredential."""
    try:
        return expression.evaluate({name: value})
    except ValueError as error:
        raise InvalidCredential(f"an expression over {name} failed: {error}") from error


def _texts(value: Any, what: str) -> tuple[str, ...]:
    """One text, or a list of texts; "" is none."""
    found = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise InvalidCredential(f"{what} in the claims are neither a text nor a list of texts")
    return tuple(item for item in found if item)

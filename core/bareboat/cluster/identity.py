"""Who asks, and whether they may: the authenticators and authorizers that the cluster file chooses, in its order.

Of the kernel are ``certificate``, ``service-account``, ``bootstrap-token``, ``token-file`` (with the path of the file) and ``anonymous``;
all others come from plugins. A file that names none gets all but ``token-file``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bareboat.auth.account_tokens import TokenAuthenticator
from bareboat.auth.authenticators import AnonymousAuthenticator, AuthenticatorChain, CertificateAuthenticator
from bareboat.auth.authority import AlwaysAllow, AlwaysDeny, Authority
from bareboat.auth.bootstrap_tokens import BootstrapTokenAuthenticator
from bareboat.auth.host import AuthHost
from bareboat.auth.token_file import TokenFileAuthenticator, TokenFileOptions
from bareboat.auth.tokens import Keys
from bareboat.cluster.file.choices import ordered
from bareboat.cluster.file.shape import Authentication, ClusterFile
from bareboat.contracts.auth import Authenticator, Authorizer, Reader
from bareboat.plugins.loader import Hooks
from bareboat.plugins.problems import PluginErrors, Problem

_FIRST, _LAST = ("certificate", "service-account", "bootstrap-token"), "anonymous"


class AnonymousOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``paths`` where a request may be anonymous, such as /healthz; none named: everywhere."""

    paths: list[str] = []


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to choose."""


class Identity:
    """Of one server; ``host`` is closed by who made it."""

    def __init__(self, cluster: ClusterFile, hooks: Hooks, reader: Reader, host: AuthHost) -> None:
        self._cluster = cluster
        self._hooks = hooks
        self._reader = reader
        self._host = host

    def authority(self) -> Authority:
        """Raises PluginErrors."""
        contributed: list[Authorizer] = self._collect("bareboat_authorizers", "authorization")
        named = self._cluster.authorization
        own = [a for a in (AlwaysAllow(), AlwaysDeny()) if a.name in named]
        return Authority(ordered([*contributed, *own], named, "authorization"))

    def chain(self, keys: Keys) -> AuthenticatorChain:
        """Raises PluginErrors."""
        contributed: list[Authenticator] = self._collect("bareboat_authenticators", "authentication")
        made, problems = [], []
        for choice in self._choices(contributed):
            try:
                made.append(self._one(choice, contributed, keys))
            except ValueError as error:
                problems.append(Problem(plugin=choice.use, group="authentication", message=str(error)))
        if problems:
            raise PluginErrors(problems)
        return AuthenticatorChain(made, self._host.audiences)

    def _choices(self, contributed: Sequence[Authenticator]) -> list[Authentication]:
        named = self._cluster.authentication
        if not named:
            return [Authentication(use=name) for name in (*_FIRST, *(c.name for c in contributed), _LAST)]
        chosen = [Authentication(use=c) if isinstance(c, str) else c for c in named]
        if all(c.use != "certificate" for c in chosen):
            message = "it is missing in `authentication`, but the cluster's own agents and administrators come in by it: name it"
            raise PluginErrors([Problem(plugin="certificate", group="authentication", message=message)])
        return chosen

    def _one(self, choice: Authentication, contributed: Sequence[Authenticator], keys: Keys) -> Authenticator:
        """Raises ValueError."""
        reader, clock, audiences = self._reader, self._host.clock, self._host.audiences
        plain: dict[str, Callable[[], Authenticator]] = {
            "certificate": CertificateAuthenticator,
            "service-account": lambda: TokenAuthenticator(keys, reader, clock, audiences),
            "bootstrap-token": lambda: BootstrapTokenAuthenticator(reader, clock),
            **{c.name: lambda found=c: found for c in contributed},  # type: ignore[misc]
        }
        if choice.use == "token-file":
            return TokenFileAuthenticator.read(Path(_options(choice, TokenFileOptions).path))
        if choice.use == _LAST:
            return AnonymousAuthenticator(_options(choice, AnonymousOptions).paths)
        if choice.use not in plain:
            known = ", ".join(sorted([*plain, "token-file", _LAST]))
            raise ValueError(f"no such authenticator; there are: {known}")
        _options(choice, NoOptions)
        return plain[choice.use]()

    def _collect(self, hook: str, what: str) -> list[Any]:
        try:
            return self._hooks.collect(hook, reader=self._reader, host=self._host)
        except ValueError as error:
            raise PluginErrors([Problem(plugin=what, group="bareboat.plugins", message=str(error))]) from error


def _options(choice: Authentication, shape: Any) -> Any:
    """Raises ValueError."""
    try:
        return msgspec.convert(choice.options, shape)
    except msgspec.ValidationError as error:
        allowed = ", ".join(shape.__struct_fields__) or "none: a plugin's own options stand beside its name under `plugins`"
        raise ValueError(f"options: {error}; allowed: {allowed}") from error

"""The entry point: contributes the authenticator ``oidc`` over the issuers of the options."""

from __future__ import annotations

from typing import Any

from bareboat.contracts.auth import Authenticator, AuthHost
from bareboat.contracts.hooks import hookimpl


@hookimpl
def bareboat_authenticators(host: AuthHost, options: dict[str, Any]) -> list[Authenticator]:
    """Raises ValueError for options that are none, with every fault."""
    from bareboat_authn_oidc.options import parse
    from bareboat_authn_oidc.tokens import OidcAuthenticator

    return [OidcAuthenticator(parse(options, host.audiences), host)]

"""The entry point: contributes an authenticator per token webhook and an authorizer per access webhook of the options."""

from __future__ import annotations

from typing import Any

from bareboat.contracts.auth import Authenticator, AuthHost, Authorizer
from bareboat.contracts.hooks import hookimpl


@hookimpl
def bareboat_authenticators(host: AuthHost, options: dict[str, Any]) -> list[Authenticator]:
    """Raises ValueError for options that are none, with their path."""
    from bareboat_auth_webhook.connection import client_of
    from bareboat_auth_webhook.options import parse
    from bareboat_auth_webhook.tokens import TokenWebhookAuthenticator

    return [TokenWebhookAuthenticator(hook, client_of(hook.kubeConfigFile), host) for hook in parse(options).authenticators]


@hookimpl
def bareboat_authorizers(host: AuthHost, options: dict[str, Any]) -> list[Authorizer]:
    """Raises ValueError for options that are none, with their path."""
    from bareboat_auth_webhook.access import AccessWebhookAuthorizer
    from bareboat_auth_webhook.connection import client_of
    from bareboat_auth_webhook.options import parse

    return [AccessWebhookAuthorizer(hook, client_of(hook.kubeConfigFile), host) for hook in parse(options).authorizers]

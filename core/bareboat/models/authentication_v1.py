"""The types of authentication/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.authentication_v1 import *  # noqa: F403

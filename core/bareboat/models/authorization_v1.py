"""The types of authorization/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.authorization_v1 import *  # noqa: F403

"""The types of rbac/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.rbac_v1 import *  # noqa: F403

"""The types of coordination/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.coordination_v1 import *  # noqa: F403

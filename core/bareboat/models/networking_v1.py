"""The types of networking/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.networking_v1 import *  # noqa: F403

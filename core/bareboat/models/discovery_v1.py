"""The types of discovery/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.discovery_v1 import *  # noqa: F403

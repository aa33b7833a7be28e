"""The types of resource/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.resource_v1 import *  # noqa: F403

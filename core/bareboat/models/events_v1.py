"""The types of events/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.events_v1 import *  # noqa: F403

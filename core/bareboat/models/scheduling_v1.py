"""The types of scheduling/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.scheduling_v1 import *  # noqa: F403

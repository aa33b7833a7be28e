"""The types of flowcontrol/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.flowcontrol_v1 import *  # noqa: F403

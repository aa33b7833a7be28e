"""The types of apiregistration/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.apiregistration_v1 import *  # noqa: F403

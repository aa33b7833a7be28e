"""The types of core/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.core_v1 import *  # noqa: F403

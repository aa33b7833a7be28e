"""The types of apps/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.apps_v1 import *  # noqa: F403

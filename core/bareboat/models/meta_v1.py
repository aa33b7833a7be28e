"""The types of meta/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.meta_v1 import *  # noqa: F403

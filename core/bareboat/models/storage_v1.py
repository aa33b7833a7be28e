"""The types of storage/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.storage_v1 import *  # noqa: F403

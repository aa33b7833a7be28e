"""The types of batch/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.batch_v1 import *  # noqa: F403

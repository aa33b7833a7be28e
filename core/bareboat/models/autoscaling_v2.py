"""The types of autoscaling/v2, generated from the published definitions when the distribution is built."""

from bareboat_definitions.autoscaling_v2 import *  # noqa: F403

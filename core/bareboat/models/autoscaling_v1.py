"""The types of autoscaling/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.autoscaling_v1 import *  # noqa: F403

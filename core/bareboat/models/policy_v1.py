"""The types of policy/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.policy_v1 import *  # noqa: F403

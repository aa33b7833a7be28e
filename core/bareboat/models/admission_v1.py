"""The types of admission/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.admission_v1 import *  # noqa: F403

"""The types of admissionregistration/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.admissionregistration_v1 import *  # noqa: F403

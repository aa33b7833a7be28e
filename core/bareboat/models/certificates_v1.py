"""The types of certificates/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.certificates_v1 import *  # noqa: F403

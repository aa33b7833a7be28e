"""The types of apiextensions/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.apiextensions_v1 import *  # noqa: F403

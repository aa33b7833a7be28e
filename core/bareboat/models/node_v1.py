"""The types of node/v1, generated from the published definitions when the distribution is built."""

from bareboat_definitions.node_v1 import *  # noqa: F403

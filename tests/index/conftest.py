"""Fixtures: one store of each engine."""

from store_fixtures import *  # noqa: F403

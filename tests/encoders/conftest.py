"""Fixtures: a dual encoder small enough to export in a second."""

from tiny_model import *  # noqa: F403

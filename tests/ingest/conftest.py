"""Fixtures: a small library of generated sounds."""

from library_of_tones import *  # noqa: F403

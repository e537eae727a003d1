"""Fixtures: a small library of generated sounds, an encoder that counts, and its store."""

from counting_encoder import *  # noqa: F403
from library_of_tones import *  # noqa: F403

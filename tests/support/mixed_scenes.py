"""Scenes mixed from a handful of recordings that the tests make."""

from askaudio.scenes.library import recorded_scenes

RATE = 8000


def mixed(recordings, phrases, counts=None, **settings):
    settings = {"seed": 1, "sample_rate_hz": RATE, "duration_s": 6.0} | settings
    return recorded_scenes(recordings, counts or {"train": 30, "val": 6, "test": 12}, phrases=phrases, **settings)

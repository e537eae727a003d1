"""Scenes: captioned ten-second sounds, mixed from synthesised kinds or from real recordings; all seeded.

How a scene is made: ``compose`` draws labels (Zipf), gets their sounds from a source (``recorded`` or ``synthesised``),
places and mixes them. ``captions`` describes the result, ``library`` makes many scenes, and ``write`` stores them.
"""

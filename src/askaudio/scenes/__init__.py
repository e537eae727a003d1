"""Scenes: captioned ten-second sounds, mixed from synthesised kinds or from real recordings; all of it seeded.

The walk of one scene: ``compose`` draws labels (Zipf), asks a source (``recorded`` or ``synthesised``) for sounds,
places and mixes them; ``captions`` words what was placed; ``library`` makes many scenes, ``write`` stores them.
"""

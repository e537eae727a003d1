"""Copies of a sound in a collection: the same recording with another name, format, level, length or channel count."""

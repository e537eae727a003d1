"""Captioned sound libraries: the manifest, readers of official layouts, generated scenes, caches, leak checks."""

"""Captioned data sets: the manifest, readers of the usual layouts, and the cache of computed features."""

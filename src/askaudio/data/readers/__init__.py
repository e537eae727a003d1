"""Readers of captioned data sets, one file per layout; ``open`` chooses the reader."""

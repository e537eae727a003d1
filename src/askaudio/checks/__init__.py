"""Checks of captioned data sets: broken files, faulty captions, duplicates, and leaks between splits."""

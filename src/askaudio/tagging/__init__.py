"""Proposals of UCS categories, key words and descriptions, and plans that write them to files and can be undone."""

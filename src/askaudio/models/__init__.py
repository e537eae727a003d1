"""Encoders: the two-verb contract and the towers that keep it."""

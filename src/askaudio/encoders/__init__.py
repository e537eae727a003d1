"""Encoders that need no torch: the contract, the models known by name, and how they are opened."""

"""Encoders that run without torch: their protocol, the registry of named models, and how both are opened."""

"""Adapters to other libraries, one file per library."""

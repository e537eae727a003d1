"""Lowest layer: array types, error classes, optional packages, small numpy functions, atomic file writes."""

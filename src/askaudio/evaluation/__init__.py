"""Retrieval evaluation on arrays: relevance, ranks, metrics, significance, reports. Needs no model and no torch."""

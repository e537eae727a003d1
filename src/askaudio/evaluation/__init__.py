"""Retrieval evaluation on arrays: relevance, ranks, metrics, significance, reports. Knows no model, needs no torch."""

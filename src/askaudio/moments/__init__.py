"""Moments: the stretches of a recording that answer a query; finding, storing, exporting and scoring them."""

"""Vector stores behind one contract; ``exact`` is the truth that every other engine is tested against."""

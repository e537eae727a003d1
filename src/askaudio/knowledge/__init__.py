"""The ASK framework's own part: the knowledge base, its injection, refinement and reliability. Pure torch."""

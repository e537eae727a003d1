"""How far a pair can be trusted: estimates from both modalities."""

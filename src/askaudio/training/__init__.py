"""Training: the objective (where knowledge and losses meet) and the only room that knows the trainer library."""

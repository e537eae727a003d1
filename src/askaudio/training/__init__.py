"""The trainer: pairs, batches, the loop, checkpoints, and the run folder."""

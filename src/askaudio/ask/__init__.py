"""The ASK objective: a loss on the batch plus knowledge from outside the batch, its state, and its refresh."""

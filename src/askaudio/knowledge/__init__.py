"""The ASK framework's own part: knowledge from outside the batch, kept fresh, trusted with care. Pure torch."""

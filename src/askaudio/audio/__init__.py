"""From a path or bytes to float32 samples, fixed windows and log-mel features. No torch here."""

"""Audio files to float32 samples, fixed windows and log-mel features, without torch."""

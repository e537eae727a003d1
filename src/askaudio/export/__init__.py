"""Writing trained models as encoder folders that search opens without torch, and publishing them."""

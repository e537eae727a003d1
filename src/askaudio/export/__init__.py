"""Write trained models as encoder folders, which search opens without torch, and publish them."""

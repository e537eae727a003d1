"""Writing a collection: walking folders, encoding files, keeping the store in step with the disk."""

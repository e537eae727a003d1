"""When and how the knowledge base is encoded again."""

"""The kinds of synthesised sound, one file a family; importing a family registers its kinds (``registry``)."""

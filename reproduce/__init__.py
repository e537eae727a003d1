"""How the weights that the package ships were made; run from the root of the repository."""

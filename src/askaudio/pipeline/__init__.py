"""From a recipe to a trained model and its evaluation: inputs, assembly, run."""

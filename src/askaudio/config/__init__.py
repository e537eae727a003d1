"""Recipes: dataclasses, YAML with key=value overrides, and the one place where parts are put together."""

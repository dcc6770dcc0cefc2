"""Data sets as recipes: from files to examples."""

from seqgpt.data.recipe import Recipe, list_recipes, load_recipe

__all__ = ["Recipe", "list_recipes", "load_recipe"]

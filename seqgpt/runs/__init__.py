"""Runs: a config read, prepared, reported on, trained, and what is left of it."""

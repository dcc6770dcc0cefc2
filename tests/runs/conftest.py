"""Runs are tested with the tiny models and the examples of training."""

from tests.training.conftest import _fast_collection, _no_pictures, arguments, eight, kill, model, still_model  # noqa: F401

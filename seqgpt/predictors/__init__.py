"""What can be evaluated beside the library itself: free generation, and peers that run from a folder of their own."""

from seqgpt.predictors.command import Command
from seqgpt.predictors.embeddings import SentenceEmbeddings
from seqgpt.predictors.free_generation import FreeGeneration
from seqgpt.predictors.open import Opened, open_predictor
from seqgpt.predictors.zero_shot_pipeline import ZeroShotPipeline

__all__ = [
    "Command",
    "FreeGeneration",
    "Opened",
    "SentenceEmbeddings",
    "ZeroShotPipeline",
    "open_predictor",
]

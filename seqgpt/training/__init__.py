"""Training: examples → encoded trees → batches → transformers.Trainer → a folder that predicts."""

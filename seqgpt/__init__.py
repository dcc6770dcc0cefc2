"""seqgpt."""

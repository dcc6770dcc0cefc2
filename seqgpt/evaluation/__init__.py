"""How good answers are: metrics, trivial baselines to hold them against, reports."""

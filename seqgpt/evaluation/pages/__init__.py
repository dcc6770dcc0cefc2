"""An evaluation, and a comparison of two, as pages of HTML that need nothing else."""

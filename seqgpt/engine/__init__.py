"""From a task to an answer: plan → tree batch → forward → constrained decoding."""

"""Training loops, checkpoints, and what a network costs."""

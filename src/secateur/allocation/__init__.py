"""How much of each part to prune so that a target is met: planned, measured, corrected."""

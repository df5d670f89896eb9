"""Structured pruning by regularisation: gates, group lasso, early-bird tickets, layer drop.

Plain penalties are settings of the training itself: `TrainSettings.l1` (mean absolute weight), `weight_decay` (L2)
and `l2_sp` (L2 towards the start).
"""

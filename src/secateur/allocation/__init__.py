"""How much of each part goes so that a target is met: measured, planned, measured again."""

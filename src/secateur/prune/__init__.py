"""Pruning: how much it matters, how much goes when, how it is removed."""

"""Recognisers: their configs, networks, groups, checkpoints, weights and decoding."""

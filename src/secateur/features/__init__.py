"""Acoustic features: one definition, in numpy for the runtime and in torch for training."""

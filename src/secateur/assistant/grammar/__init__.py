"""Sentence templates as one graph of words, and texts found in it."""

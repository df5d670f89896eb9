"""Decoding that can only say what a grammar says."""

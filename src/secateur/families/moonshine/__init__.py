"""Moonshine with a width for every layer."""

"""Whole jobs that use every room: adapt a recogniser to its speakers."""

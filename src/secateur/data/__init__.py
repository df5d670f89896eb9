"""Data sets: manifests, checks, statistics, splits, downloads."""

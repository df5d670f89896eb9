"""Evaluation: error rates with intervals, cost, speed, comparison, report."""

"""Pruning for Keras 3 on the TensorFlow and torch backends: groups, ranking, schedules, physical surgery."""

"""Keras 3 on the TensorFlow and torch backends: a GoogLeNet on MFCC, exports. Pruning is to come."""

"""The runtime: numpy and onnxruntime, no torch."""

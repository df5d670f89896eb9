"""From logits to text, in numpy: the same rules and searches serve torch and ONNX Runtime through one protocol."""

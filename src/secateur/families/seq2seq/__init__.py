"""What all encoder-decoder families share: layers, objective, decoding in torch, sensitivity probe."""

"""What encoder-decoders share, whatever their layers are: cache, layers, decoder, decoding in torch."""

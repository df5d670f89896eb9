"""Sound: reading, resampling, denoising, augmenting."""

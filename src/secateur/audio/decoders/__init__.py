"""From the bytes of one recording to blocks of samples: libsndfile, PyAV (FFmpeg's libraries), or an ffmpeg program."""

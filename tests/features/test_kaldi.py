"""fbank and MFCC against kaldi-native-fbank on real speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech_clips import clips

from secateur.audio.arrays import resample
from secateur.features.front_end import FrontEnd, extract, front_end

SETS = ("librispeech-mini", "speechocean762", "commonvoice-zh-cn")
# Their transform is in float32, ours in float64: they part in the rare bands 100 dB below the loudest.
MOST, WORST, OVERALL = 1e-3, 0.03, 1e-5  # relative: of 999 in 1000 values; nats: of every value; relative: of the norm


def kaldi(audio: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """Kaldi's features (frames, statics) under the same options, without dither."""
    knf = pytest.importorskip("kaldi_native_fbank")
    options = knf.MfccOptions() if front_end.kind == "mfcc" else knf.FbankOptions()
    frame, mel = options.frame_opts, options.mel_opts
    frame.dither, frame.samp_freq, frame.snip_edges = 0.0, front_end.sample_rate, front_end.snip_edges
    frame.preemph_coeff, frame.remove_dc_offset = front_end.preemphasis, front_end.remove_dc
    frame.window_type = {"hann": "hanning"}.get(front_end.window_shape, front_end.window_shape)
    frame.frame_length_ms = (front_end.window + 0.5) * 1000 / front_end.sample_rate
    frame.frame_shift_ms = (front_end.hop + 0.5) * 1000 / front_end.sample_rate
    mel.num_bins, mel.low_freq, mel.high_freq = front_end.bins, front_end.low_hz, front_end.high_hz or 0.0
    options.use_energy = front_end.energy
    if front_end.kind == "mfcc":
        options.num_ceps, options.cepstral_lifter = front_end.coefficients, front_end.lifter
    computer = (knf.OnlineMfcc if front_end.kind == "mfcc" else knf.OnlineFbank)(options)
    computer.accept_waveform(front_end.sample_rate, audio * np.float32(front_end.full_scale))
    computer.input_finished()
    return np.array([computer.get_frame(i) for i in range(computer.num_frames_ready)])


@pytest.mark.parametrize(
    "wanted",
    [
        front_end("fbank"),
        front_end("fbank", energy=True, bins=40),
        front_end("fbank", snip_edges=False, high_hz=7600.0, full_scale=1.0),
        front_end("fbank", window_shape="hann", preemphasis=0.0, remove_dc=False),
        front_end("fbank", window=320, hop=321, snip_edges=False),
        front_end("mfcc"),
        front_end("mfcc", energy=True, bins=40, coefficients=40, window_shape="hamming"),
        front_end("mfcc", lifter=0.0, snip_edges=False),
        front_end("mfcc", 8000, high_hz=3700.0),
        front_end("mfcc", 11025, snip_edges=False),
    ],
)
def test_equals_kaldi_on_real_speech(speech: Path, wanted: FrontEnd) -> None:
    for name in SETS:
        for audio, _ in clips(speech, name, 2):
            audio = resample(audio, 16000, wanted.sample_rate)
            ours, theirs = extract(audio, wanted), kaldi(audio, wanted)
            assert ours.shape == theirs.shape == (wanted.frames(len(audio)), wanted.inputs)
            away = np.abs(ours - theirs)
            assert away.max() < WORST and np.quantile(away / np.maximum(1, np.abs(theirs)), 0.999) < MOST
            assert np.linalg.norm(ours - theirs) < OVERALL * np.linalg.norm(theirs)


def test_deltas_equal_kaldi(speech: Path) -> None:
    knf = pytest.importorskip("kaldi_native_fbank")
    ((audio, _),) = clips(speech, "speechocean762", 1)
    for length in (len(audio), 400 + 2 * 160, 400):  # three frames and one: all ends, no middle
        statics = extract(audio[:length], front_end("mfcc"))
        for order in (1, 2):
            options = knf.DeltaOptions()
            options.order, options.window = order, 2
            theirs = np.array(knf.compute_deltas(options, statics))
            ours = extract(audio[:length], front_end("mfcc", deltas=order))
            assert np.abs(ours - theirs).max() < 1e-4

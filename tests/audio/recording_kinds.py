"""Recordings of the kinds that programs write, made with PyAV: what the tests and `benchmarks/recordings.py` read."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np
import soxr

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Made:
    """One way to write a recording."""

    format: str  # FFmpeg's muxer
    codec: str
    rate: int = 16000
    frame: int = 1152  # samples that an encoder may add
    options: Options = ()
    like: float = 0.95  # least cosine with the source
    layout: str = "mono"


KINDS = {
    "aac.m4a": Made("ipod", "aac", 44100, 1024), "aac.mp4": Made("mp4", "aac", 16000, 1024),
    "aac.mov": Made("mov", "aac", 48000, 1024), "aac.3gp": Made("3gp", "aac", 16000, 1024),
    "fragments.mp4": Made("mp4", "aac", 44100, 1024, (("movflags", "frag_keyframe+empty_moov"),)),
    "aac.aac": Made("adts", "aac", 22050, 1024), "aac.mkv": Made("matroska", "aac", 48000, 1024),
    "opus.webm": Made("webm", "libopus", 48000), "opus.mka": Made("matroska", "libopus", 48000),
    "opus.mp4": Made("mp4", "libopus", 48000),
    "a.wma": Made("asf", "wmav2", 44100, 2048), "b.wma": Made("asf", "wmav1", 16000, 2048),
    "a.ac3": Made("ac3", "ac3", 48000, 1536), "a.eac3": Made("eac3", "eac3", 48000, 1536),
    "a.mp2": Made("mp2", "mp2", 32000), "a.amr": Made("amr", "libopencore_amrnb", 8000, 160, like=0.7),
    "amr.3gp": Made("3gp", "libopencore_amrnb", 8000, 160, like=0.7),
    "a.ts": Made("mpegts", "aac", 48000, 1024), "a.flv": Made("flv", "aac", 44100, 1024),
    "a.avi": Made("avi", "libmp3lame", 44100), "mp3.wav": Made("wav", "libmp3lame", 44100),
    "cbr.mp3": Made("mp3", "libmp3lame", 44100), "vbr.mp3": Made("mp3", "libmp3lame", 16000, options=(("q", "4"),)),
    "alaw.wav": Made("wav", "pcm_alaw", 8000, 1, like=0.99), "g722.wav": Made("wav", "g722", 16000, 2),
    "ima.wav": Made("wav", "adpcm_ima_wav", 16000, 2048), "ms.wav": Made("wav", "adpcm_ms", 16000, 2048),
}  # fmt: skip
LOSSLESS = {
    "alac.m4a": Made("ipod", "alac", 44100), "flac.mkv": Made("matroska", "flac", 16000),
    "pcm.mkv": Made("matroska", "pcm_s16le", 48000), "pcm.mov": Made("mov", "pcm_s16be", 48000),
    "flac.mp4": Made("mp4", "flac", 22050), "flac.oga": Made("ogg", "flac"), "a.wv": Made("wv", "wavpack", 96000),
    "a.tta": Made("tta", "tta", 44100), "a.caf": Made("caf", "alac", 44100), "a.flac": Made("flac", "flac", 192000),
    "pcm.avi": Made("avi", "pcm_s16le", 44100),
    "long.wav": Made("wav", "pcm_s16le", 8000, options=(("rf64", "always"),)),
}  # fmt: skip
NO_TABLE = (("write_xing", "0"),)
STREAMS = ("aac.aac", "a.ac3", "a.eac3", "a.mp2", "a.amr", "a.ts")  # any beginning of which is a whole file


class OnlyWrite:
    """A pipe as PyAV takes it: without seek and tell."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        return len(data)


def encode(
    samples: np.ndarray, made: Made, pipe: bool = False, more: Callable[[object], None] | None = None,
    when: Callable[[float], float] = float,
) -> bytes:  # fmt: skip
    """Samples (samples,) or (samples, channels) at `made.rate` as a file; `when` moves packets, in seconds."""

    def moved(packets: list[av.Packet]) -> list[av.Packet]:
        for packet in packets:
            later = when(float(packet.pts * packet.time_base)) - float(packet.pts * packet.time_base)
            packet.pts += round(later / packet.time_base)
            packet.dts = packet.pts
        return packets

    out = OnlyWrite() if pipe else io.BytesIO()
    samples = samples if samples.ndim == 2 else samples[:, None]
    options = dict(made.options)
    quality = options.pop("q", None)
    with av.open(out, "w", format=made.format, options=options) as container:
        stream = container.add_stream(made.codec, rate=made.rate, options={"strict": "-2"})
        stream.layout = made.layout
        if made.codec.startswith("wma"):
            stream.bit_rate = 64000
        if made.codec in ("wavpack", "tta"):
            stream.format = "s16p" if made.codec == "wavpack" else "s16"
        if quality:
            stream.codec_context.flags |= 2  # by quality, not by bit rate
            stream.codec_context.global_quality = int(quality) * 118
        if more is not None:
            more(container)
        whole = np.ascontiguousarray(np.round(samples * 32767).astype(np.int16).reshape(1, -1))
        step = 4000 * samples.shape[1]
        for at in range(0, whole.shape[1], step):
            frame = av.AudioFrame.from_ndarray(whole[:, at : at + step], "s16", made.layout)
            frame.sample_rate, frame.pts = made.rate, at // samples.shape[1]
            container.mux(moved(stream.encode(frame)))
        container.mux(moved(stream.encode(None)))
    return b"".join(out.parts) if isinstance(out, OnlyWrite) else out.getvalue()


JOINED = {
    **{n: KINDS[n] for n in ("aac.m4a", "aac.aac", "opus.webm", "a.wma", "a.flv", "a.ac3", "a.amr", "cbr.mp3")},
    **{name: LOSSLESS[name] for name in ("flac.oga", "a.wv", "a.tta", "a.caf", "a.flac", "long.wav", "flac.mkv")},
    "opus.ogg": Made("ogg", "libopus", 48000), "a.wav": Made("wav", "pcm_s16le"), "a.aiff": Made("aiff", "pcm_s16be"),
    "a.au": Made("au", "pcm_s16be"), "no table.mp3": Made("mp3", "libmp3lame", 44100, options=NO_TABLE),
}  # fmt: skip


def at_rate(clip: np.ndarray, rate: int) -> np.ndarray:
    """The same speech at another rate, as 16 bits hold it."""
    other = clip if rate == 16000 else soxr.resample(clip, 16000, rate)
    return (np.round(np.clip(other, -1, 1) * 32767).astype(np.int16) / np.float32(32768)).astype(np.float32)


def shift(a: np.ndarray, b: np.ndarray) -> tuple[int, float]:
    """By how many samples `a` lags behind `b`, and their cosine then."""
    size = 1 << (len(a) + len(b)).bit_length()
    both = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    at = int(np.argmax(both))
    return (at if at < size // 2 else at - size), float(both[at] / (np.linalg.norm(a) * np.linalg.norm(b)))

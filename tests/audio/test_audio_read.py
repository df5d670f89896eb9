"""Reading recordings of every kind, and what is said about those that cannot be read."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from speech_clips import clips

from secateur.audio.arrays import as_samples
from secateur.audio.read import AudioInfo, audio_info, read_audio
from secateur.base.errors import SecateurError

FORMATS = {
    "clip.wav": {}, "float.wav": {"subtype": "FLOAT"}, "deep.wav": {"subtype": "PCM_24"}, "clip.flac": {},
    "clip.aiff": {}, "clip.au": {}, "clip.mp3": {}, "vorbis.ogg": {}, "clip.opus": {"format": "OGG", "subtype": "OPUS"},
}  # fmt: skip


@pytest.fixture(scope="module")
def clip(speech: Path) -> np.ndarray:
    """A few seconds of real speech at 16 kHz."""
    ((audio, _),) = clips(speech, "speechocean762", 1)
    return audio[: 3 * 16000]


def similar(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine between two clips of nearly the same length."""
    n = min(len(a), len(b))
    assert abs(len(a) - len(b)) <= 2
    return float(a[:n] @ b[:n] / (np.linalg.norm(a[:n]) * np.linalg.norm(b[:n])))


def problem(source: object, **options: float | None) -> str:
    with pytest.raises(SecateurError) as caught:
        read_audio(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message and len(message) < 250
    return message


@pytest.mark.parametrize("name", FORMATS)
def test_formats(clip: np.ndarray, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, clip, 16000, **FORMATS[name])
    audio = read_audio(path)
    assert audio.dtype == np.float32 and audio.ndim == 1 and len(audio) == len(clip)
    assert similar(audio, clip) > (0.9999 if name.endswith(("wav", "flac", "aiff", "au")) else 0.95)
    assert np.array_equal(read_audio(str(path)), audio)
    with path.open("rb") as file:
        assert np.array_equal(read_audio(file), audio)
    assert np.array_equal(read_audio(io.BytesIO(path.read_bytes())), audio)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_rates_are_resampled(clip: np.ndarray, tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "clip.wav", soxr.resample(clip, 16000, rate), rate, subtype="FLOAT")
    audio = read_audio(tmp_path / "clip.wav")
    expected = clip if rate >= 16000 else soxr.resample(soxr.resample(clip, 16000, rate), rate, 16000)
    assert similar(audio, expected) > 0.999
    assert audio_info(tmp_path / "clip.wav").sample_rate == rate


def test_blocks_do_not_show(clip: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "clip.flac", np.stack([clip, clip / 2], axis=1), 44100)
    whole = read_audio(tmp_path / "clip.flac")
    monkeypatch.setattr("secateur.audio.read._BLOCK", 1000)
    assert np.allclose(read_audio(tmp_path / "clip.flac"), whole, atol=1e-7)


def test_channels_are_averaged(clip: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "three.wav", np.stack([clip, -clip, clip / 2], axis=1), 16000, subtype="FLOAT")
    assert np.allclose(read_audio(tmp_path / "three.wav"), clip / 6, atol=1e-6)


def test_overshoot_is_clipped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.array([0.5, 1.5, -2.0] * 100), 16000, subtype="FLOAT")
    assert np.array_equal(read_audio(tmp_path / "loud.wav")[:3], np.array([0.5, 1.0, -1.0], np.float32))


def test_info(clip: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "two.flac", np.stack([clip, clip], axis=1), 8000)
    assert audio_info(tmp_path / "two.flac") == AudioInfo(8000, 2, 48000, 6.0, "FLAC PCM_16")


def test_info_of_a_real_set_agrees_with_its_manifest(speech: Path) -> None:
    info = audio_info(next((speech / "free-spoken-digits").rglob("*.opus")))
    assert (info.sample_rate, info.channels, info.format) == (8000, 1, "OGG OPUS")


def test_pipe(clip: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", clip, 16000)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(
        target=lambda: (tmp_path / "pipe").write_bytes((tmp_path / "clip.wav").read_bytes()), daemon=True
    )
    writer.start()
    assert len(read_audio(tmp_path / "pipe")) == len(clip)
    writer.join()


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x7FFF_F000])
def test_streamed_wav_without_a_known_length(clip: np.ndarray, tmp_path: Path, length: int) -> None:
    soundfile.write(tmp_path / "clip.wav", clip, 16000)
    data = bytearray((tmp_path / "clip.wav").read_bytes())
    struct.pack_into("<I", data, 40, length)
    assert len(read_audio(io.BytesIO(data))) == len(clip)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", FORMATS)
def test_cut_off(clip: np.ndarray, tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    soundfile.write(path, clip, 16000, **FORMATS[name])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "cut off" in problem(path)
    assert "cut off" in problem(io.BytesIO(path.read_bytes()))


@pytest.mark.parametrize("name", ["clip.wav", "clip.flac", "clip.opus", "clip.mp3"])
def test_segments(clip: np.ndarray, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, clip, 16000, **FORMATS[name])
    for rate in (8000, 16000):
        whole = read_audio(path, rate)
        for start, seconds in ((0.0, 0.5), (0.7313, 1.0101), (2.5, 0.5)):
            part = read_audio(path, rate, start=start, seconds=seconds)
            expected = whole[round(start * rate) : round((start + seconds) * rate)]
            assert len(part) == len(expected) and np.allclose(part, expected, atol=1e-3)
        assert np.allclose(read_audio(path, rate, start=1.25), whole[round(1.25 * rate) :], atol=1e-3)


@pytest.mark.parametrize(
    ("start", "seconds"), [(3.0, None), (2.0, 1.2), (-0.1, 1.0), (0.5, 0.0), (0.0, float("nan")), (float("inf"), None)]
)
def test_segments_that_are_not_there(clip: np.ndarray, tmp_path: Path, start: float, seconds: float | None) -> None:
    soundfile.write(tmp_path / "clip.flac", clip, 16000)
    assert "segment" in problem(tmp_path / "clip.flac", start=start, seconds=seconds)
    assert len(read_audio(tmp_path / "clip.flac", start=2.0, seconds=1.05)) == 16000


def test_segments_of_members_of_archives(clip: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.flac", clip, 16000)
    with tarfile.open(tmp_path / "set.tar", "w") as out:
        out.add(tmp_path / "clip.flac", "clip.flac")
    part = read_audio(tmp_path / "set.tar" / "clip.flac", start=1.0, seconds=0.25)
    assert np.array_equal(part, read_audio(tmp_path / "clip.flac")[16000:20000])


def test_not_there_or_not_audio(tmp_path: Path) -> None:
    assert problem(tmp_path / "nowhere.wav").endswith("nowhere.wav: no such file")
    assert "a folder, not an audio file" in problem(tmp_path)
    (tmp_path / "empty.wav").touch()
    assert "empty" in problem(tmp_path / "empty.wav")
    assert "empty" in problem(io.BytesIO(b""))
    (tmp_path / "letter.wav").write_text("Dear Sir or Madam, " * 100)
    assert "not audio" in problem(tmp_path / "letter.wav")
    (tmp_path / "samples.raw").write_bytes(bytes(1000))
    assert "not audio" in problem(tmp_path / "samples.raw")
    assert "cannot be read" in problem("zero\0byte")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_not_allowed(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"RIFF")
    (tmp_path / "secret.wav").chmod(0)
    assert "cannot be read (Permission denied)" in problem(tmp_path / "secret.wav")


def test_unusable_content(clip: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, clip[:0], 16000)
    assert "no sound" in problem(path)
    soundfile.write(path, clip[:1], 44100)
    assert "no sound" in problem(path)
    spoilt = clip.copy()
    spoilt[100] = np.nan
    soundfile.write(path, spoilt, 16000, subtype="FLOAT")
    assert "NaN" in problem(path)
    soundfile.write(path, clip * 32768, 16000, subtype="FLOAT")
    assert "from -1 to 1" in problem(path)
    soundfile.write(path, clip, 16000)
    assert "limit of 0.0005" in problem(path, max_seconds=1.8)


def test_floats_beyond_full_scale_are_made_quieter_not_clipped(
    clip: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loudest = float(np.abs(clip).max())
    soundfile.write(tmp_path / "hot.wav", clip * 39 / loudest, 16000, subtype="FLOAT")
    assert np.allclose(read_audio(tmp_path / "hot.wav"), clip / loudest, atol=1e-6)
    assert "hot.wav: samples reach 39 times full scale: made quieter" in capsys.readouterr().err
    assert np.allclose(as_samples(clip * 39 / loudest, 16000), clip / loudest, atol=1e-6)
    soundfile.write(tmp_path / "over.wav", clip * 1.2 / loudest, 16000, subtype="FLOAT")
    assert np.allclose(read_audio(tmp_path / "over.wav"), (clip * 1.2 / loudest).clip(-1, 1), atol=1e-6)


@pytest.mark.parametrize(("rate", "words"), [(2000, "2000 Hz"), (400_000, "400000 Hz"), (0, "damaged at its start")])
def test_absurd_rates(clip: np.ndarray, tmp_path: Path, rate: int, words: str) -> None:
    soundfile.write(tmp_path / "clip.wav", clip, 16000)
    data = bytearray((tmp_path / "clip.wav").read_bytes())
    struct.pack_into("<I", data, 24, rate)
    assert words in problem(io.BytesIO(data))

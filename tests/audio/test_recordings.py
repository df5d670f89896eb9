"""Recordings as programs write them (containers, pipes, joins, wrong headers, cut ends): samples against the source.

The files are made with the libraries themselves (PyAV and libsndfile), from real speech.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech_clips import clips

from secateur.audio import read as audio_read
from secateur.audio.files.kinds import SUFFIXES, audio_files
from secateur.audio.read import audio_info, read_audio, read_channels
from secateur.base.errors import SecateurError

av = pytest.importorskip("av")

from recording_kinds import JOINED, KINDS, LOSSLESS, NO_TABLE, STREAMS, Made, Options, at_rate, encode, shift  # noqa: E402


@pytest.fixture(scope="module")
def clip(speech: Path) -> np.ndarray:
    """A few seconds of real speech at 16 kHz, of an odd length."""
    ((audio, _),) = clips(speech, "speechocean762", 1)
    return audio[: 2 * 16000 + 137]


def named(data: bytes, name: str) -> io.BytesIO:
    file = io.BytesIO(data)
    file.name = name  # type: ignore[attr-defined]
    return file


def refused(source: object, **options: object) -> str:
    with pytest.raises(SecateurError) as caught:
        read_audio(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


@pytest.mark.parametrize("name", KINDS)
def test_kinds(clip: np.ndarray, tmp_path: Path, name: str) -> None:
    made = KINDS[name]
    (tmp_path / name).write_bytes(encode(at_rate(clip, made.rate), made))
    audio = read_audio(tmp_path / name, made.rate)
    source = at_rate(clip, made.rate)
    lag, like = shift(audio, source)
    assert like > made.like and -10 <= lag <= 600
    assert 0 <= len(audio) - len(source) <= made.frame
    assert np.array_equal(read_audio(named((tmp_path / name).read_bytes(), name), made.rate), audio)
    info = audio_info(tmp_path / name)
    assert (info.sample_rate, info.channels) == (made.rate, 1) and abs(info.frames - len(audio)) <= 1
    assert Path(name).suffix in SUFFIXES and audio_files(tmp_path) == [tmp_path / name]


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_kinds_to_the_bit(clip: np.ndarray, name: str) -> None:
    made = LOSSLESS[name]
    source = at_rate(clip, made.rate)
    file = named(encode(source, made), name)
    written = np.round(source * 32767).astype(np.int16) / np.float32(32768)
    assert np.array_equal(read_audio(file, made.rate), written)
    assert audio_info(file).frames == len(source)


@pytest.mark.parametrize("options", [(), (("q", "2"),), (("q", "6"),)], ids=["cbr", "best", "small"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_mp3_that_does_not_say_how_long_it_is(clip: np.ndarray, rate: int, options: Options) -> None:
    # Loud and quiet by turns, so that frames of a variable rate are of very different sizes.
    source = at_rate(np.concatenate([clip * 0.001, clip, clip * 0.001]), rate)
    data = encode(source, Made("mp3", "libmp3lame", rate, options=(*options, *NO_TABLE)))
    audio = read_audio(io.BytesIO(data), rate)
    lag, like = shift(audio, source)
    assert abs(lag) <= 1 and like > 0.95 and 0 <= len(audio) - len(source) <= 1152
    assert audio_info(io.BytesIO(data)).frames == len(audio)
    whole = read_audio(io.BytesIO(b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + data + b"TAG" + bytes(125)), rate)
    assert np.array_equal(whole, audio)


@pytest.mark.parametrize("name", JOINED)
def test_joined_files_are_read_to_the_end(clip: np.ndarray, said: list[str], name: str) -> None:
    made = JOINED[name]
    first, second = at_rate(clip[:16000], made.rate), at_rate(clip[8000:], made.rate)
    data = encode(first, made), encode(second, made)
    audio = read_audio(named(b"".join(data), name), made.rate)
    parts = [read_audio(named(part, name), made.rate) for part in data]
    assert abs(len(audio) - sum(map(len, parts))) <= 2 * made.frame
    lag, like = shift(audio[-len(second) :], second)
    assert like > min(made.like, 0.9) and abs(lag) <= 2 * made.frame
    if name in LOSSLESS or name in ("a.wav", "a.aiff", "a.au", "opus.ogg", "cbr.mp3"):
        assert np.array_equal(audio, np.concatenate(parts))
        assert name == "flac.mkv" or "2 recordings joined" in " ".join(said)
    assert audio_info(named(b"".join(data), name)).seconds == pytest.approx(len(audio) / made.rate, abs=0.001)


def test_joined_recordings_at_other_rates(clip: np.ndarray) -> None:
    """Each part has its own rate, and its own number of channels."""
    parts = []
    for rate, format_, codec in ((16000, "mp3", "libmp3lame"), (44100, "mp3", "libmp3lame")):
        parts.append(encode(at_rate(clip, rate), Made(format_, codec, rate)))
    audio = read_audio(io.BytesIO(b"".join(parts)), 16000)
    assert abs(len(audio) - 2 * len(clip)) < 200 and shift(audio[-len(clip) :], clip)[1] > 0.9
    mono, stereo = io.BytesIO(), io.BytesIO()
    soundfile.write(mono, clip, 16000, format="FLAC")
    soundfile.write(stereo, np.stack([clip, clip], 1), 16000, format="FLAC")
    joined = mono.getvalue() + stereo.getvalue()
    assert len(read_audio(io.BytesIO(joined))) == 2 * len(clip)
    with pytest.raises(SecateurError, match="different numbers of channels"):
        read_channels(io.BytesIO(joined))


@pytest.mark.parametrize(
    "made",
    [Made("flac", "flac"), Made("flac", "flac", 96000), Made("wav", "pcm_s16le"), Made("aiff", "pcm_s16be"),
     Made("au", "pcm_s16be"), Made("caf", "pcm_s16le"), Made("matroska", "flac")],
    ids=lambda made: f"{made.format} {made.rate}",
)  # fmt: skip
def test_lossless_from_a_pipe(clip: np.ndarray, made: Made) -> None:
    source = at_rate(clip, made.rate)
    data = encode(source, made, pipe=True)
    written = np.round(source * 32767).astype(np.int16) / np.float32(32768)
    assert np.array_equal(read_audio(io.BytesIO(data), made.rate), written)
    assert audio_info(io.BytesIO(data)).frames == len(source)


PIPED = ("opus.webm", "aac.mkv", "fragments.mp4", "a.wma", "vbr.mp3", "aac.aac", "a.ts", "a.flv")


@pytest.mark.parametrize("name", PIPED)
def test_lossy_from_a_pipe(clip: np.ndarray, name: str) -> None:
    made = KINDS[name]
    source = at_rate(clip, made.rate)
    audio = read_audio(named(encode(source, made, pipe=True), name), made.rate)
    assert 0 <= len(audio) - len(source) <= made.frame and shift(audio, source)[1] > made.like


@pytest.mark.parametrize("share", [0.3, 0.77, 0.9])
@pytest.mark.parametrize("name", [*KINDS, *LOSSLESS])
def test_what_is_cut_off_is_refused_or_told(clip: np.ndarray, said: list[str], name: str, share: float) -> None:
    made = (KINDS | LOSSLESS)[name]
    data = encode(at_rate(clip, made.rate), made)
    file = named(data[: int(len(data) * share)], name)
    if name == "a.flv":  # one or the other, by where it is cut
        try:
            read_audio(file, made.rate)
        except SecateurError as problem:
            said.append(str(problem))
        assert "cut off" in " ".join(said)
        return
    if name not in STREAMS:
        assert "cut off" in refused(file, sample_rate=made.rate)
        return
    audio = read_audio(file, made.rate)
    assert abs(len(audio) / made.rate / (len(clip) / 16000) - share) < 0.1
    if name not in ("a.mp2", "a.ac3", "a.eac3"):  # by chance where a frame ends
        assert any("ends inside" in line or "damaged" in line or "cut off" in line for line in said)


@pytest.mark.parametrize("name", ["no table.mp3", "flac", "webm"])
def test_what_is_cut_off_and_never_said_how_long_it_is(clip: np.ndarray, said: list[str], name: str) -> None:
    made = {"no table.mp3": JOINED["no table.mp3"], "flac": Made("flac", "flac"), "webm": KINDS["opus.webm"]}[name]
    data = encode(at_rate(clip, made.rate), made, pipe=True)
    file = io.BytesIO(data[: int(len(data) * 0.61)])
    if name == "flac":
        assert "cut off" in refused(file)
    else:
        assert 0.4 < len(read_audio(file)) / len(clip) < 0.8
        assert "ends inside a" in " ".join(said)


def wav(samples: np.ndarray, size: int | None = None, riff: int | None = None, tail: bytes = b"") -> bytes:
    """A WAV file whose header may lie."""
    out = io.BytesIO()
    soundfile.write(out, samples, 16000, format="WAV", subtype="PCM_16")
    data = bytearray(out.getvalue())
    if size is not None:
        struct.pack_into("<I", data, 40, size)
    if riff is not None:
        struct.pack_into("<I", data, 4, riff)
    return bytes(data) + tail


@pytest.mark.parametrize("size", [0, 1000, 40_000, 0xFFFF_FFFF, 0x7FFF_F000, 0x8000_0000])
@pytest.mark.parametrize("riff", [0, 36, 0xFFFF_FFFF, None])
def test_wav_with_a_wrong_size(clip: np.ndarray, said: list[str], size: int, riff: int | None) -> None:
    assert np.array_equal(read_audio(io.BytesIO(wav(clip, size, riff))), read_audio(io.BytesIO(wav(clip))))
    assert len(said) == (size in (1000, 40_000))
    assert audio_info(io.BytesIO(wav(clip, size, riff))).frames == len(clip)


def test_wav_with_what_is_no_sound_after_it(clip: np.ndarray, said: list[str]) -> None:
    whole = read_audio(io.BytesIO(wav(clip)))
    picture = b"id3 " + struct.pack("<I", 50_000) + bytes(range(250)) * 200
    for tail in (picture, b"LIST\x04\x00\x00\x00INFO" + picture, bytes(100), b"TAG" + bytes(125)):
        assert np.array_equal(read_audio(io.BytesIO(wav(clip, tail=tail))), whole)
    assert not said


def test_aiff_and_au_with_a_wrong_size(clip: np.ndarray) -> None:
    out = io.BytesIO()
    soundfile.write(out, clip, 16000, format="AIFF", subtype="PCM_16")
    data = bytearray(out.getvalue())
    at = data.find(b"SSND") + 4
    for size in (0, 1008):
        struct.pack_into(">I", data, at, size)
        assert len(read_audio(io.BytesIO(bytes(data)))) == len(clip)
    out = io.BytesIO()
    soundfile.write(out, clip, 16000, format="AU", subtype="PCM_16")
    data = bytearray(out.getvalue())
    struct.pack_into(">I", data, 8, 2000)
    assert len(read_audio(io.BytesIO(bytes(data)))) == len(clip)


@pytest.mark.parametrize("form", ["RF64", "W64", "CAF", "AU", "AIFF", "WAV"])
@pytest.mark.parametrize("share", [0.2, 0.8])
def test_cut_off_by_the_header(clip: np.ndarray, form: str, share: float) -> None:
    out = io.BytesIO()
    soundfile.write(out, clip, 16000, format=form, subtype="PCM_16")
    assert len(read_audio(out)) == len(clip)
    data = out.getvalue()
    assert "cut off" in refused(io.BytesIO(data[: int(len(data) * share)]))


WIDTHS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "GSM610")


@pytest.mark.parametrize("coding", WIDTHS)
def test_widths_of_wav(clip: np.ndarray, coding: str) -> None:
    out = io.BytesIO()
    soundfile.write(out, clip, 16000, format="WAV", subtype=coding)
    audio = read_audio(out)
    assert 0 <= len(audio) - len(clip) <= 640 and shift(audio, clip)[1] > (0.8 if coding == "GSM610" else 0.98)


@pytest.mark.parametrize("channels", ["mono", "stereo", "5.1"])
@pytest.mark.parametrize("name", ["aac.m4a", "opus.webm", "a.ac3", "flac.mkv"])
def test_numbers_of_channels(clip: np.ndarray, name: str, channels: str) -> None:
    made = Made(**{**(KINDS | LOSSLESS)[name].__dict__, "layout": channels})
    count = {"mono": 1, "stereo": 2, "5.1": 6}[channels]
    source = at_rate(clip, made.rate)
    samples = np.stack([source * (0.0 if c == 3 else 0.5) for c in range(count)], axis=1)  # 3: low frequencies only
    audio = read_audio(named(encode(samples, made), name), made.rate)
    assert shift(audio, source)[1] > 0.9
    assert audio_info(named(encode(samples, made), name)).channels == count


def test_segments_of_what_cannot_be_entered(clip: np.ndarray, tmp_path: Path) -> None:
    """The same samples as of the whole file, however it is decoded."""
    long = np.concatenate([clip, clip[::-1] * 0.5, clip, clip[::-1], clip])
    for name, made in {"a.m4a": KINDS["aac.m4a"], "a.webm": KINDS["opus.webm"], "v.mp3": KINDS["vbr.mp3"]}.items():
        path = tmp_path / name
        path.write_bytes(encode(at_rate(long, made.rate), made))
        with tarfile.open(tmp_path / "set.tar", "w") as out:
            out.add(path, name)
        whole = read_audio(path)
        for start, seconds in ((0.0, 0.7), (4.4321, 1.0), (7.75, 2.2), (9.5, None)):
            expected = whole[round(start * 16000) : None if seconds is None else round((start + seconds) * 16000)]
            for place in (path, tmp_path / "set.tar" / name):
                part = read_audio(place, start=start, seconds=seconds)
                assert len(part) == len(expected) and np.allclose(part, expected, atol=1e-6)
        assert "does not hold" in refused(path, start=9.0, seconds=2.0)


def test_mp3_in_blocks_is_mp3_at_once(clip: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(at_rate(clip, 44100), Made("mp3", "libmp3lame", 44100, options=(("q", "3"),)))
    at_once = read_audio(io.BytesIO(data), 44100)
    monkeypatch.setattr(audio_read, "_BLOCK", 5000)
    assert np.array_equal(read_audio(io.BytesIO(data), 44100), at_once)


def video(pictures: int = 10) -> Callable[[object], None]:
    """Adds moving pictures to a container."""

    def add(container: object) -> None:
        stream = container.add_stream("mpeg4", rate=10)  # type: ignore[attr-defined]
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(pictures):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8), "rgb24")
            container.mux(stream.encode(frame))  # type: ignore[attr-defined]
        container.mux(stream.encode(None))  # type: ignore[attr-defined]

    return add


@pytest.mark.parametrize("name", ["aac.mp4", "aac.mov", "aac.mkv", "a.avi", "a.ts"])
def test_sound_of_a_video(clip: np.ndarray, name: str) -> None:
    made = KINDS[name]
    source = at_rate(clip, made.rate)
    audio = read_audio(named(encode(source, made, more=video()), name), made.rate)
    assert 0 <= len(audio) - len(source) <= made.frame and shift(audio, source)[1] > made.like


def test_a_video_without_sound() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        video()(container)
    assert "no sound in this MP4 file, only video" in refused(named(out.getvalue(), "silent.mp4"))


def test_of_several_streams_the_default_one(clip: np.ndarray, said: list[str]) -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        streams = [container.add_stream("flac", rate=16000, layout="mono") for _ in range(3)]
        streams[0].disposition = av.stream.Disposition(0)
        streams[1].disposition = av.stream.Disposition.default
        streams[2].disposition = av.stream.Disposition(0)
        for number, stream in enumerate(streams):
            samples = np.round(clip * 32767 * (number + 1) / 4).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.sample_rate, frame.pts = 16000, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    assert np.allclose(read_audio(out), clip / 2, atol=1e-4)
    assert "3 audio streams, number 2 is read" in said[0]


def test_without_pyav_the_format_and_the_extra_are_named(
    clip: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, kind in (("aac.m4a", "MP4"), ("opus.webm", "Matroska"), ("a.wma", "WMA"), ("aac.aac", "AAC")):
        made = KINDS[name]
        monkeypatch.undo()
        data = encode(at_rate(clip, made.rate), made)
        monkeypatch.setitem(sys.modules, "av", None)
        monkeypatch.setenv("PATH", str(tmp_path))
        message = refused(named(data, name))
        assert kind in message and "[media]" in message and "ffmpeg" in message
    monkeypatch.undo()
    piped = encode(clip, Made("flac", "flac"), pipe=True)
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "FLAC" in refused(io.BytesIO(piped)) and "[media]" in refused(io.BytesIO(piped))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program")
@pytest.mark.parametrize("name", ["aac.m4a", "opus.webm", "a.wma", "flac.mkv", "a.amr"])
def test_with_the_ffmpeg_program(clip: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    made = (KINDS | LOSSLESS)[name]
    source = at_rate(clip, made.rate)
    (tmp_path / name).write_bytes(encode(source, made))
    monkeypatch.setitem(sys.modules, "av", None)
    for place in (tmp_path / name, named((tmp_path / name).read_bytes(), name)):
        audio = read_audio(place, made.rate)
        assert abs(len(audio) - len(source)) <= 2 * made.frame and shift(audio, source)[1] > made.like
    cut = (tmp_path / name).read_bytes()
    if name not in STREAMS:
        assert "cut off" in refused(named(cut[: len(cut) * 2 // 3], name))


def test_nothing_but_the_given_file_is_opened(tmp_path: Path) -> None:
    """Playlists and references, which FFmpeg would follow."""
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, np.full(16000, 0.5), 16000)
    texts = (
        f"#EXTM3U\n#EXTINF:1,\n{secret}\n",
        f"ffconcat version 1.0\nfile {secret}\n",
        f"v=0\nm=audio 5004 RTP/AVP 0\nc=IN IP4 127.0.0.1\na={secret}\n",
    )
    for text in texts:
        for ending in ("m3u8", "mp4", "wav", "aac", "mp3"):
            place = tmp_path / f"list.{ending}"
            place.write_text(text)
            assert os.fspath(place) in refused(place)


DAMAGED = ("opus.ogg", "flac.oga", "a.flac", "piped.flac", "aac.m4a", "aac.aac", "a.wv", "no table.mp3", "cbr.mp3")


@pytest.mark.parametrize("at", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("name", DAMAGED)
def test_damage_inside_is_refused_or_told(clip: np.ndarray, said: list[str], name: str, at: float) -> None:
    made = Made("flac", "flac") if name == "piped.flac" else (KINDS | LOSSLESS | JOINED)[name]
    data = bytearray(encode(at_rate(np.concatenate([clip, clip]), made.rate), made, pipe=name == "piped.flac"))
    place = int(len(data) * at)
    data[place : place + 600] = bytes(600)
    try:
        read_audio(named(bytes(data), name), made.rate)
    except SecateurError as problem:
        said.append(str(problem))
    assert any("damaged" in line or "cut off" in line for line in said)

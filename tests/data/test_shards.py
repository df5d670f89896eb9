"""Tar archives are read and written like manifests, by every command, in constant memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import secateur
from secateur.audio.read import audio_info, read_audio
from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data.bank import AudioBank
from secateur.data.hashes import Hashes
from secateur.data.manifest import Utterance, iter_manifest, read_manifest, write_manifest
from secateur.data.pack import pack, stem
from secateur.data.shards import shard_paths
from secateur.data.stats import stats

TRAIN = Path(secateur.__file__).parent / "data" / "bundled" / "train.jsonl"


def tar(path: Path, **members: bytes) -> Path:
    """An archive as other programs write it; `a__wav` is called a.wav."""
    with tarfile.open(path, "w") as out:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def wav(seconds: float = 0.5) -> bytes:
    """A tone."""
    sound = io.BytesIO()
    soundfile.write(sound, 0.3 * np.sin(np.arange(round(16000 * seconds)) / 9), 16000, format="WAV")
    return sound.getvalue()


def fields(u: Utterance) -> tuple[object, ...]:
    return u.id, u.duration, u.text, u.speaker, u.language, u.extras


def test_what_is_packed_is_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = read_manifest(TRAIN)
    done = pack(TRAIN, tmp_path / "p" / "train", clips=8)
    assert (done.shards, done.clips, done.kept) == (4, 30, 0)
    assert done.pattern.endswith("train-{000000..000003}.tar")
    back = read_manifest(done.pattern)
    assert [fields(u) for u in back] == [fields(u) for u in clips]
    for u, original in zip(back[6:10], clips[6:10], strict=True):
        assert np.array_equal(read_audio(u.audio), read_audio(original.audio))
        assert audio_info(u.audio) == audio_info(original.audio)
    assert stats(iter_manifest(done.pattern)) == stats(clips)
    assert AudioBank.read(back, label="").digest == AudioBank.read(clips, label="").digest
    # A manifest of parts of archives, as `data split` and `data check --write` make them.
    write_manifest(tmp_path / "some.jsonl", back[3:5])
    assert json.loads((tmp_path / "some.jsonl").read_text().splitlines()[0])["audio"].startswith("p/train-000000.tar/")
    assert read_manifest(tmp_path / "some.jsonl") == back[3:5]
    # The commands.
    assert main(["data", "check", done.pattern]) == 0
    capsys.readouterr()
    assert main(["transcribe", str(back[0].audio), str(clips[0].audio)]) == 0
    heard = [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()]
    assert heard[0] == heard[1] != ""


def test_packing_goes_on_where_it_was_killed_and_gives_the_same_bytes(tmp_path: Path) -> None:
    pack(TRAIN, tmp_path / "whole" / "t", clips=10, quiet=True)
    pack(TRAIN, tmp_path / "again" / "t", clips=10, quiet=True)
    (tmp_path / "again" / "t-000001.tar").unlink()
    assert pack(TRAIN, tmp_path / "again" / "t", clips=10, quiet=True).kept == 2
    for path in shard_paths(tmp_path / "whole" / "t-*.tar"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    with pytest.raises(SecateurError, match="of another manifest, or of another state of it"):
        pack(TRAIN, tmp_path / "again" / "t", clips=11, quiet=True)


def test_archives_of_others(tmp_path: Path) -> None:
    """Text beside the audio, other names of fields, ids and durations that are not written down."""
    tar(
        tmp_path / "x-00.tar", a__wav=wav(0.5), a__txt=b"one two\n", b__json=b'{"sentence": "three", "mood": 1}',
        b__seg__wav=wav(0.25), b__cls=b"7",
    )  # fmt: skip
    tar(tmp_path / "x-01.tar", **{"deep/c__flac": wav(1.0), "deep/c__json": b'{"id": "C", "dur": 1.0, "spk": "s"}'})
    first, second, third = read_manifest(tmp_path / "x-{00..01}.tar")
    assert (first.id, first.text, first.duration, first.audio.name) == ("a", "one two", 0.5, "a.wav")
    assert (second.id, second.text, second.duration, second.extras) == ("b", "three", 0.25, {"mood": 1})
    assert (third.id, third.speaker, third.duration) == ("C", "s", 1.0)
    assert len(read_audio(third.audio)) == 16000


def test_mistakes_are_named(tmp_path: Path) -> None:
    def message(path: Path) -> str:
        with pytest.raises(SecateurError) as caught:
            read_manifest(path)
        return str(caught.value)

    assert "a.tar, a: no audio (known: .flac, " in message(tar(tmp_path / "a.tar", a__txt=b"words"))
    assert "b.json: not valid JSON" in message(tar(tmp_path / "b.tar", b__wav=wav(), b__json=b"{"))
    tar(tmp_path / "c-0.tar", c__wav=wav())
    tar(tmp_path / "c-1.tar", c__wav=wav())
    assert "c-1.tar, c: id 'c' is already on" in message(tmp_path / "c-{0..1}.tar")
    assert "c-2.tar: no such file" in message(tmp_path / "c-{2..3}.tar")
    assert "no archive matches" in message(tmp_path / "d-*.tar")
    assert "must run upwards" in message(tmp_path / "c-{1..0}.tar")
    whole = (tmp_path / "c-0.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:2000])
    assert "cut.tar: cut off inside c.wav" in message(tmp_path / "cut.tar")
    with tarfile.open(tmp_path / "packed.tar", "w:gz") as out:
        out.add(tmp_path / "c-0.tar", "x.wav")
    assert "no plain tar archive" in message(tmp_path / "packed.tar")
    with pytest.raises(SecateurError, match=r"c-0\.tar has no such member"):
        read_audio(tmp_path / "c-0.tar" / "e.wav")
    with pytest.raises(SecateurError, match=r"not audio but text"):
        read_audio(tar(tmp_path / "e.tar", e__wav=b"noise") / "e.wav")


@given(st.lists(st.text(max_size=3), max_size=3000))
def test_hashes_are_a_set(names: list[str]) -> None:
    seen, plain, numbered, first = Hashes(), set(), Hashes(numbered=True), {}
    for number, name in enumerate(names):
        assert (name in seen) == (name in plain)
        assert seen.add(name) == (name not in plain)
        plain.add(name)
        assert numbered.first(name, number) == first.setdefault(name, number)
    assert len(seen) == len(plain) == len(numbered)


def test_hashes_grow() -> None:
    seen = Hashes(numbered=True)
    assert all(seen.first(i * 7919, i) == i for i in range(20_000))
    assert all(seen.first(i * 7919, 0) == i for i in range(20_000))


COMMANDS = """
import resource, sys
from secateur.cli import main
path, out = sys.argv[1:]
assert main(["data", "stats", path]) == 0
assert main(["data", "check", path, "--audio", "no"]) == 0
assert main(["data", "split", path, "--out", out]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units")
def test_memory_does_not_hold_the_lines(tmp_path: Path) -> None:
    """20,000 lines more take what finds repetitions and rates; in a list they would take 30 MB."""

    def peak(lines: int) -> int:
        path = tmp_path / f"{lines}.jsonl"
        with path.open("w") as out:
            for i in range(lines):
                line = {"id": f"clip-{i:07}", "audio": str(TRAIN), "duration": 2.0, "text": "go", "speaker": f"{i % 9}"}
                out.write(json.dumps(line) + "\n")
        words = [sys.executable, "-c", COMMANDS, str(path), str(tmp_path / "split")]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[-1])

    assert peak(25_000) - peak(5_000) < 9_000  # kB


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_stems(one: str, other: str) -> None:
    assert (stem(one) == stem(other)) == (one == other)
    assert "." not in stem(one) and "/" not in stem(one) and len(stem(one)) < 90

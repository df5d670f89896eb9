"""What every room relies on: options that name the nearest right key, files that are old or new, errors in one line."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest

from secateur.base.errors import SecateurError
from secateur.base.extras import require
from secateur.base.files import atomic_path, read_json, read_toml, write_json
from secateur.base.options import convert, from_dict, to_dict
from secateur.cli import COMMANDS, main


@dataclass(frozen=True)
class Inner:
    units: int = 4
    kind: Literal["ffn", "head"] = "ffn"


@dataclass(frozen=True)
class Outer:
    name: str
    rate: float = 0.1
    seeds: tuple[int, ...] = ()
    inner: Inner = Inner()
    extra: Inner | None = None
    amounts: dict[str, float] = field(default_factory=dict)
    on: bool = False


def test_plain_values_become_the_dataclass_and_back() -> None:
    values = {"name": "a", "rate": 1, "seeds": [1, 2], "inner": {"units": 8}, "amounts": {"ffn": 0.5}, "on": True}
    made = from_dict(Outer, values)
    assert made == Outer("a", 1.0, (1, 2), Inner(8), None, {"ffn": 0.5}, True)
    assert from_dict(Outer, json.loads(json.dumps(to_dict(made)))) == made
    assert from_dict(Outer, {"name": "a", "seeds": "3, 4", "on": "yes", "rate": "1e-3"}).seeds == (3, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "rat": 1}, "unknown key 'rat' (did you mean 'rate'?)"),
        ({"name": "a", "inner": {"unit": 1}}, "inner: unknown key 'unit' (did you mean 'units'?)"),
        ({}, "missing key 'name'"),
        ({"name": "a", "rate": "fast"}, "rate: expected a number, found 'fast'"),
        ({"name": "a", "seeds": [1, "x"]}, "seeds[1]: expected a whole number, found 'x'"),
        ({"name": "a", "seeds": [1.5]}, "seeds[0]: expected a whole number, found '1.5'"),
        ({"name": "a", "inner": {"kind": "heads"}}, "'heads' is not one of ffn, head (did you mean 'head'?)"),
        ({"name": 3}, "name: expected text, found '3'"),
        ({"name": "a", "on": "perhaps"}, "on: expected yes or no"),
        ([1], "expected a table of keys, found list"),
    ],
)
def test_a_wrong_value_is_named(values: object, message: str) -> None:
    with pytest.raises(SecateurError) as caught:
        from_dict(Outer, values, "file.toml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("file.toml")
    assert "\n" not in str(caught.value)


def test_a_file_is_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_files_that_cannot_be_read_or_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{broken")
    for call in (
        lambda: read_json(tmp_path / "file"),
        lambda: read_json(tmp_path / "none"),
        lambda: read_toml(tmp_path / "file"),
        lambda: write_json(tmp_path / "file" / "below.json", 1),
    ):
        with pytest.raises(SecateurError) as caught:
            call()
        assert str(tmp_path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_missing_extra_says_what_to_install() -> None:
    with pytest.raises(SecateurError, match=r"pip install 'secateur-asr\[train\]'"):
        require("no_such_module_here", "train")


def test_every_hint_names_the_distribution_and_comes_from_one_place() -> None:
    root = Path(__file__).resolve().parents[2]
    texts = {p: p.read_text(encoding="utf-8") for p in (root / "src").rglob("*.py")}
    assert [p.name for p, text in texts.items() if "pip install 'secateur" in text and p.name != "extras.py"] == []
    pages = [*(root / "docs").rglob("*.md"), *(root / "deploy").rglob("*"), *root.glob("*.md")]
    old = [str(p) for p in pages if p.is_file() and "'secateur[" in p.read_text(encoding="utf-8", errors="replace")]
    assert old == []


def test_the_command_line_answers_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words, message in (
        (["evalute"], "did you mean 'evaluate'"),
        (["data", "chek"], "did you mean 'check'"),
        (["transcribe", "--modle", "x", "a.wav"], "did you mean '--model'"),
        (["evaluate"], "MODEL is missing"),
        (["transcribe", str(tmp_path / "none.wav")], "none.wav"),
        (["report", str(tmp_path / "none")], "no such run folder"),
        (["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")], "a.json"),
        (["report", str(tmp_path), "--config", str(tmp_path / "none.toml")], "none.toml: no such file"),
    ):
        assert main(words) == 2, words
        said = capsys.readouterr()
        assert message in said.err
        assert len(said.err.strip().splitlines()) == 1, said.err
        assert not said.out


def test_help_is_a_tour_and_every_command_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    tour = capsys.readouterr().out
    assert all(name in tour for name in COMMANDS)
    for name in COMMANDS:
        family = getattr(importlib.import_module(f"secateur.cli.{name}"), "COMMANDS", {})
        for words in [[name, sub] for sub in family] or [[name]]:
            with pytest.raises(SystemExit) as left:
                main([*words, "--help"])
            assert left.value.code == 0
            said = capsys.readouterr().out
            assert f"secateur {' '.join(words)}" in said.split("example:")[1]


def test_a_config_file_fills_options_and_the_command_line_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set.jsonl").write_text('{"id": "a", "audio": "a.wav", "duration": 1.0, "text": "a"}\n')
    config = tmp_path / "c.toml"
    config.write_text('limit = 3\nmetrc = "wer"\n')
    assert main(["evaluate", "m", str(tmp_path / "set.jsonl"), "--config", str(config)]) == 2
    assert "unknown key 'metrc' (did you mean 'metric'?)" in capsys.readouterr().err
    config.write_text('metric = "mor"\n')
    assert main(["evaluate", "m", str(tmp_path / "set.jsonl"), "--config", str(config)]) == 2
    assert "'mor' is not one of wer, cer, mer, per" in capsys.readouterr().err
    assert main(["evaluate", "m", str(tmp_path / "set.jsonl"), "--config", str(config), "--metric", "wer"]) == 2
    assert "no model or folder 'm'" in capsys.readouterr().err


def test_a_base_install_says_what_a_command_needs(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text('{"id": "a", "audio": "a.wav", "duration": 1.0, "text": "a", "speaker": "s"}\n')
    learn = ["--train", str(tmp_path / "set.jsonl"), "--out", str(tmp_path / "out")]
    code = "import sys; sys.modules['torch'] = None\nfrom secateur.cli import main\nsys.exit(main(sys.argv[1:]))"
    for words in (["adapt", *learn], ["train", *learn], ["prune", *learn], ["export", "tiny.en", "--out", "x"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert "'torch' is not installed: run  pip install 'secateur-asr[train]'" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_base_install_says_what_serve_needs_and_shows_its_help() -> None:
    absent = ["starlette", "fastapi", "uvicorn", "prometheus_client", "multipart", "websockets", "wyoming"]
    code = f"import sys\nfor name in {absent}:\n    sys.modules[name] = None\n"
    code += "from secateur.cli import main\nsys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, "serve"], capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'secateur-asr[serve]'" in done.stderr
    done = subprocess.run([sys.executable, "-c", code, "serve", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--wyoming-port" in done.stdout


def test_what_is_not_given_keeps_its_default(tmp_path: Path) -> None:
    """One value of a part, in a file or on the command line, leaves the others as they are."""
    from secateur.cli import prune
    from secateur.cli.command import build_options, make_parser

    parser = make_parser(prune, "prune")
    (tmp_path / "run.toml").write_text('train = ["a.jsonl"]\nout = "b"\n[training]\nsteps = 5\n')
    words = ["--config", str(tmp_path / "run.toml"), "--prune.remove", "0.2", "--training.seed", "1"]
    found = build_options(prune.Options, parser.parse_all(words))
    whole = prune.Options(out=Path("b"), train=(Path("a.jsonl"),))
    assert found.prune == replace(whole.prune, remove=0.2) and found.prune.method == "refit"
    assert found.training == replace(whole.training, steps=5, seed=1) and found.training.learning_rate == 4e-5
    assert "default: refit" in " ".join(parser.format_help().split())


def test_a_share_given_in_percent_is_explained() -> None:
    with pytest.raises(SecateurError, match=r"rate: expected a number, found '2.5 %'; 2.5 % is 0.025$"):
        convert(float, "2.5 %", "rate")

"""The report page: complete, self-contained, escaped, and true to the result files it was made from."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.evaluate import plots
from secateur.evaluate.error_rate import count_errors
from secateur.evaluate.markup import difference
from secateur.evaluate.result import Result, Row, read_result, write_result
from secateur.evaluate.run import summarise, with_cost
from secateur.families.whisper.config import WhisperConfig, uniform
from secateur.models.family import write_config
from secateur.study.report import render
from secateur.study.run_folder import ReportInputs, collect
from secateur.text.tokens import Tokens

pytest.importorskip("kaldialign")
pytest.importorskip("matplotlib")

WORDS = ["turn", "the", "light", "on", "in", "kitchen", "please", "now", "<b>", "music", "&"]
ORIGINAL = uniform(
    width=64, heads=4, ffn=256, encoder_layers=2, decoder_layers=2, vocabulary=500, tokens=Tokens(start=499, end=498)
)
PRUNED = ORIGINAL.shrunk({
    "decoder.layers.1.self_attention.heads": [0, 2, 3], "encoder.layers.0.ffn": list(range(100)),
    "encoder.positions": list(range(400)),
})  # fmt: skip


class Page(HTMLParser):
    """Collects what a reader or a screen reader meets, and fails on tags that do not match."""

    VOID = frozenset({"meta", "br", "use", "path", "rect", "line", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def system(name: str, error: float, seed: int, config: WhisperConfig, data: str = "home/test") -> Result:
    said, heard = np.random.default_rng(5), np.random.default_rng(seed)
    rows = []
    for i in range(80):
        reference = said.choice(WORDS, said.integers(3, 9)).tolist()
        texts = " ".join(reference), " ".join(word if heard.random() > error else "bad" for word in reference)
        extras: dict[str, Any] = {"gender": "fm"[i % 2], "age": i % 8 * 9}
        rows.append(Row(f"clip{i}", f"s{i % 8}", 1.0 + i % 9, *texts, count_errors(*texts), extras))
    result = summarise(rows, model=name, data=data, language="en", metric="wer", seconds_compute=20.0)
    return with_cost(result, config)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kiosk")
    write_result(folder / "results" / "original.json", system("tiny", 0.4, 1, ORIGINAL))
    write_result(folder / "results" / "dense.json", system("tiny", 0.2, 2, ORIGINAL))
    write_result(folder / "results" / "pruned.json", system("tiny", 0.1, 3, PRUNED))
    write_result(folder / "results" / "far" / "original.json", system("tiny", 0.1, 4, ORIGINAL, "far/test"))
    for name in ("dense", "pruned"):
        log = [{"step": 10 * i, "loss": 3 / i, "error": 0.4 / i, "kept": 1 - 0.1 * i} for i in (1, 2, 3)]
        (folder / name).mkdir()
        (folder / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    write_config(folder / "original" / "config.json", ORIGINAL)
    write_config(folder / "pruned" / "config.json", PRUNED)
    return folder


@pytest.fixture(scope="module")
def rendered(run: Path) -> str:
    return render(collect(run))


@pytest.fixture(scope="module")
def page(rendered: str) -> Page:
    return Page(rendered)


def test_every_section_is_there(page: Page) -> None:
    for title in (
        "On home/test", "On far/test", "Pair by pair", "Where the errors are", "By speaker", "By clip length",
        "By gender", "By age", "What was cut", "Training", "Transcripts before and after", "Corrected",
        "How it was measured",
    ):  # fmt: skip
        assert title in page.text, title
    assert page.text.index("On home/test") < page.text.index("On far/test")  # the set that most models heard leads


def test_figures_are_those_of_the_files(run: Path, page: Page) -> None:
    for name in ("original", "dense", "pruned"):
        result = read_result(run / "results" / f"{name}.json")
        assert f"{100 * result.rate:.1f} %" in page.text
        assert f"{100 * result.interval[0]:.1f} to {100 * result.interval[1]:.1f}" in page.text
    assert "3 of 4" in page.text and "100 of 256" in page.text  # heads and FFN units that stayed
    assert "audio positions 1,500 400 26.7 %" in page.text


def test_page_needs_nothing_else(page: Page) -> None:
    links = [v for _, a in page.tags for k, v in a.items() if k in ("src", "href", "xlink:href") and v]
    assert all(link.startswith("#") for link in links)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}


def test_page_is_accessible(page: Page) -> None:
    pictures = [a for tag, a in page.tags if tag == "svg"]
    assert len(pictures) >= 5
    assert all(a.get("role") == "img" and len(a.get("aria-label") or "") > 20 for a in pictures)
    tables = sum(tag == "table" for tag, _ in page.tags)
    assert tables == sum(tag == "caption" for tag, _ in page.tags) >= 4
    assert all(a.get("scope") in ("row", "col") for tag, a in page.tags if tag == "th")
    assert ("html", {"lang": "en"}) in page.tags
    ids = [a["id"] for _, a in page.tags if "id" in a and a.get("id")]
    assert len(ids) == len(set(ids))


def test_transcripts_are_escaped(page: Page) -> None:
    assert "b" not in {tag for tag, a in page.tags if a} and "<b>" in page.text
    assert difference("a <b> c", "a <i> c d", "wer") == (
        'a <mark title="said: &lt;b&gt;">&lt;i&gt;</mark> c <ins title="not said">d</ins>'
    )
    assert difference("go", "go " * 200, "wer").endswith("<small>… and 140 more</small>")
    assert difference("开灯", "开", "cer") == '开<del title="missing">灯</del>'


def test_colours_follow_the_theme(rendered: str) -> None:
    assert "prefers-color-scheme: dark" in rendered
    drawn = "".join(re.findall(r"<svg.*?</svg>", rendered, re.DOTALL))
    assert "var(--s1)" in drawn and "currentColor" in drawn and not re.search(r"#a[12]000", drawn)


def test_same_input_same_page(run: Path, rendered: str) -> None:
    assert render(collect(run)) == rendered


def test_order_file_wins(run: Path) -> None:
    assert [name for name, _ in collect(run).results] == ["original", "original", "dense", "pruned"]
    order = run / "results" / "order.json"
    order.write_text('["pruned", "dense", "original"]')
    try:
        assert [name for name, _ in collect(run).results][:2] == ["pruned", "dense"]
    finally:
        order.unlink()


def test_missing_pieces_are_left_out() -> None:
    alone = replace(system("tiny", 0.2, 1, ORIGINAL), rows=())
    page = Page(render(ReportInputs("bare", (("original", alone),))))
    assert f"{100 * alone.rate:.1f} %" in page.text
    for absent in ("What was cut", "Training", "Transcripts", "Where the errors are", "Pair by pair"):
        assert absent not in page.text


def test_command_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.html"
    words = ["report", str(run), "--out", str(out), "--title", "A <kiosk>", "--markdown", str(tmp_path / "t.md")]
    assert main(words) == 0
    assert "original, original, dense, pruned" in capsys.readouterr().out
    assert "A &lt;kiosk&gt;" in out.read_text()
    assert (tmp_path / "t.md").read_text().startswith("**home/test**: 80 clips, 8 speakers")


def test_folders_without_results_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "no result files" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "missing")]) == 2
    assert "no such run folder" in capsys.readouterr().err


def test_damaged_log_names_its_line(run: Path, tmp_path: Path) -> None:
    write_result(tmp_path / "results" / "original.json", system("tiny", 0.4, 1, ORIGINAL))
    (tmp_path / "dense").mkdir()
    (tmp_path / "dense" / "metrics.jsonl").write_text('{"step": 1}\n{"step"')
    with pytest.raises(SecateurError, match=r"metrics\.jsonl: line 2 is not JSON"):
        collect(tmp_path)


def test_headline_compares_with_the_unpruned_control_first(run: Path, page: Page) -> None:
    control, start = (page.text.index(f"errors than {name}") for name in ("the unpruned control dense", "original"))
    assert control < start < page.text.index("Pair by pair")


def test_headline_states_data_hours_steps_and_settings(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kiosk"
    shutil.copytree(run, folder)
    training, prune = {"learning_rate": 4e-05, "seed": 3}, {"method": "refit", "remove": 0.3}
    settings = {"train": ["mine/train.jsonl"], "model": "tiny.en", "training": training, "prune": prune}
    (folder / "run.json").write_text(json.dumps({"settings": settings}))
    (folder / "data.json").write_text(json.dumps({"train": {"clips": 1234, "hours": 1.5}, "rehearsal": {"clips": 0}}))
    text = Page(render(collect(folder))).text
    assert (
        "Trained on 1.50 h, 1,234 clips (mine/train.jsonl); 30 steps each (dense, pruned); start tiny.en; "
        "learning rate 4e-05; method refit; remove 0.3; seed 3."
    ) in text


def test_headline_says_when_clips_are_too_few(tmp_path: Path) -> None:
    for name, seed in (("dense", 5), ("pruned", 6)):
        result = system("tiny", 0.3, seed, ORIGINAL)
        rows = list(result.rows[:4])
        kept = summarise(rows, model=name, data="home/test", language="en", metric="wer", seconds_compute=1.0)
        write_result(tmp_path / "results" / f"{name}.json", kept)
    assert "Too few clips to tell" in Page(render(collect(tmp_path))).text


def test_the_front_is_what_no_other_arm_beats() -> None:
    arms = [("dense", 0.0, 16.0), ("same", 0.0, 16.0), ("a", 30.0, 15.9), ("worse", 30.0, 17.0), ("most", 60.0, 18.0)]
    assert plots.front(arms) == ["a", "most"]
    assert plots.front(arms[:2]) == ["dense", "same"]
    drawn = plots.scatter(arms, "gone, %", "error, %", plots.front(arms))
    assert "Pareto front: a, most" in Page(drawn).tags[0][1]["aria-label"]  # type: ignore[operator]
    words = Page(drawn).words
    assert {"a", "most", "worse", "Pareto front"} <= {word.strip() for word in words}


def test_a_curve_of_one_validation_is_seen() -> None:
    one = plots.curves({"dense": [{"step": 2, "loss": 1.5}]}, {"dense": plots.SERIES[0]})
    many = plots.curves({"dense": [{"step": i, "loss": 1.5} for i in range(1, 40)]}, {"dense": plots.SERIES[0]})
    assert one.count("<use") > many.count("<use") == 0


def test_equal_error_rates_are_called_equal(run: Path) -> None:
    inputs = collect(run)
    (first, a), *_ = inputs.results
    text = Page(render(replace(inputs, results=[(first, a), ("twin", a)], use=[], configs=None))).text
    assert f"twin makes exactly as many errors as {first}" in text.replace("the unpruned control ", "")


def test_a_page_in_chinese(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No text in English is left but names, figures, settings and transcripts."""
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    text = render(collect(run))
    assert ("html", {"lang": "zh-CN"}) in Page(text).tags
    shown = re.sub(r'<(style|pre)\b.*?</\1>|<(dd|span) translate="no">.*?</\2>', "", text, flags=re.DOTALL)
    attributes = re.findall(r'(?:title|aria-label)="([^"]*)"', shown)
    texts = [*re.findall(r">([^<>]+)<", shown), *attributes]
    english = [
        one for one in texts if re.search("[a-z]{3,} [a-z]{2,}", re.sub("[\u4e00-\u9fff，。：；（）]", "#", one))
    ]
    assert not english
    for title in ("剪去了什么", "错误出在哪里", "如何测量", "训练", "前后的识别文本"):
        assert title in text

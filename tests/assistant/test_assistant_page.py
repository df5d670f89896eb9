"""The page in headless Chromium, against a real server, with a microphone that plays a real order."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Page, browsing, chromium
from running_server import serving

from secateur.audio.read import read_audio

pytest.importorskip("fastapi")
if chromium() is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)

ORDER = "02b77977-ada7-4f37-a1b3-8cb433c8c8da"


@pytest.fixture(scope="module")
def page(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    samples = read_audio(speech / "barista-commands" / "test" / f"{ORDER}.opus", 48000)
    quiet = np.zeros(48000, np.float32)
    soundfile.write(folder / "order.wav", np.concatenate([quiet, samples, quiet, quiet]), 48000, subtype="PCM_16")
    site = {"site": "encoder.layers.0.ffn", "layer": "encoder 0", "part": "ffn", "amount": 0.5}
    effect = {"delta": -0.004, "low": -0.006, "high": -0.001, "p": 0.01, "adjusted": 0.04, "clips": 9}
    plots = {"model": "tiny.en", "data": "dev", "sites": [{**site, "error": effect, "loss": None}]}
    (folder / "map.json").write_text(json.dumps(plots))
    bundled = Path(sys.modules["secateur"].__file__ or "").parent / "runtime" / "bundled" / "secateur-en"
    models = f"pruned={bundled},again={bundled}"
    sound = folder / "order.wav"
    options = ("--models", models, "--plots", str(folder))
    own = {"SECATEUR_CACHE": str(folder)}  # else the timers that this machine's user has set would ring here
    with serving(*options, **own) as server, browsing(server.url, sound) as one:
        yield one


def shot(page: Page, name: str) -> None:
    """A screenshot, for whoever wants to look: `SECATEUR_SHOTS` names a folder."""
    if os.environ.get("SECATEUR_SHOTS"):
        page.picture(Path(os.environ["SECATEUR_SHOTS"]) / f"{name}.png")


def test_a_spoken_order_is_understood_and_answered(page: Page) -> None:
    page.size(1000, 860)
    page.wait("document.getElementById('grammars').textContent.includes('coffee')")
    page.key(" ", 32)  # the space bar opens the microphone
    page.wait("document.getElementById('mic').getAttribute('aria-pressed') === 'true'")
    page.wait("document.querySelector('#live').textContent.split(' ').length > 2")  # words, usually while speaking
    shot(page, "listening")
    page.wait("document.querySelectorAll('#replies .answer').length > 0")
    tags = page.do("[...document.querySelectorAll('#replies li:last-child .tag.slot')].map(t => t.textContent).sort()")
    assert tags == ["coffeeDrink: iced mocha", "roast: light roast", "size: eight ounce"]
    assert page.do("document.querySelector('#replies li:last-child .intent').textContent") == "orderDrink"
    answer = page.do("document.querySelector('#replies li:last-child .answer').textContent")
    assert answer == "An eight ounce light roast iced mocha, coming up."
    page.key(" ", 32)
    page.wait("document.getElementById('mic').getAttribute('aria-pressed') === 'false'")


def test_a_typed_command(page: Page) -> None:
    page.do("document.getElementById('text').focus()")
    page.call("Input.insertText", text="what is twelve times twelve")
    page.key("\r", 13)
    page.wait("document.querySelector('#replies li:first-child .intent')?.textContent === 'calculate'")
    assert page.do("document.querySelector('#replies .answer').textContent") == "12 times 12 is 144."
    shot(page, "answers")


def test_a_timer_runs_and_rings(page: Page) -> None:
    page.do("document.getElementById('text').focus()")
    page.call("Input.insertText", text="set a timer for two seconds")
    page.key("\r", 13)
    page.wait("document.querySelector('#running li')?.textContent.includes('of 00:02')")
    assert not page.do("document.getElementById('timers').hidden")
    page.wait("document.querySelector('#running .rings')?.textContent.includes('has run out')")
    shot(page, "rings")
    page.do("document.querySelector('#running .rings button').click()")
    page.wait("document.getElementById('timers').hidden")


def test_what_can_be_said_is_shown_and_typed_for_the_user(page: Page) -> None:
    page.wait("document.querySelectorAll('.example').length > 10")
    page.do("document.getElementById('can-say').open = true")
    page.do("[...document.querySelectorAll('.example')].find(b => b.textContent.includes('all the lights')).click()")
    assert page.do("document.getElementById('text').value") == "turn off all the lights"
    page.do("document.querySelector('#typed button').click()")
    page.wait("document.querySelector('#replies li:first-child .intent')?.textContent === 'turnOff'")
    shot(page, "examples")
    page.do("document.getElementById('can-say').open = false")


def test_an_order_that_is_none_is_shown_as_such(page: Page) -> None:
    page.do("document.getElementById('text').value = 'turn on the attic light'")
    page.do("document.querySelector('#typed button').click()")
    page.wait("document.querySelector('#replies .answer').textContent.includes('attic')")
    assert page.do("document.querySelector('#replies li:first-child .tags').textContent").startswith("no command")


def test_the_page_says_what_is_sent_where(page: Page) -> None:
    page.wait("document.getElementById('sent').textContent.includes('sends nothing on')")
    assert page.do("document.querySelectorAll('h1').length") == 1


def test_a_recording_to_text(page: Page, speech: Path, tmp_path: Path) -> None:
    """A file that is cut into pieces: text, confidence of words, subtitles whose times go on over the pieces."""
    rows = (speech / "librispeech-mini" / "test.jsonl").read_text().splitlines()[:4]
    clips = [read_audio(speech / "librispeech-mini" / json.loads(row)["audio"], 16000) for row in rows]
    sound = np.concatenate([part for clip in clips for part in (clip, np.zeros(12000, np.float32))])
    soundfile.write(tmp_path / "talk.wav", sound, 16000)
    page.do("document.getElementById('tab-files').click()")
    page.do(  # what is offered for download, without a download
        "window.offered = {}; const make = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { const url = make(blob); offered[url] = blob; return url; }; 0"
    )
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=root, selector="#recording")["nodeId"]
    page.call("DOM.setFileInputFiles", files=[str(tmp_path / "talk.wav")], nodeId=node)
    page.wait("document.getElementById('file-state').textContent.endsWith('done')", 120)
    words = page.do("[...document.querySelectorAll('#words span')].map(w => w.textContent)")
    assert len(words) > 10
    assert page.do("[...document.querySelectorAll('#words span')].every(w => w.title.endsWith('% sure'))")
    text = page.do("offered[document.getElementById('as-text').href].text()")
    assert text.split() == words
    srt = page.do("offered[document.getElementById('as-srt').href].text()")
    assert page.do("document.getElementById('as-srt').download") == "talk.srt"
    blocks = srt.strip().split("\n\n")
    times = [block.splitlines()[1].split(" --> ") for block in blocks]
    assert all(begin < end for begin, end in times)
    assert [begin for begin, _ in times] == sorted(begin for begin, _ in times)
    last = times[-1][1].replace(",", ":").split(":")
    seconds = 3600 * int(last[0]) + 60 * int(last[1]) + int(last[2])
    assert 0.6 * len(sound) / 16000 < seconds <= len(sound) / 16000 + 1
    shot(page, "transcribed")


def test_comparing_models_by_keyboard(page: Page, speech: Path) -> None:
    page.do("document.getElementById('tab-files').focus()")
    page.key("ArrowRight", 39)
    page.wait("document.querySelectorAll('#results tbody tr').length === 2")
    assert page.do("document.getElementById('assistant').hidden")
    name = str(speech / "barista-commands" / "test" / f"{ORDER}.opus")
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    page.call("DOM.setFileInputFiles", files=[name], nodeId=node)
    page.wait("document.querySelectorAll('#results td')[2].textContent !== '—'")
    rows = page.do("[...document.querySelectorAll('#results tbody tr')].map(r => [...r.cells].map(c => c.textContent))")
    assert [row[0] for row in rows] == ["pruned", "again"]
    assert rows[0][1] == rows[1][1]
    assert len(rows[0][1].split()) > 4
    assert all(int(row[2]) > 0 and float(row[3]) == pytest.approx(36.5, abs=1.0) for row in rows)
    assert page.do("document.querySelectorAll('#widths .layer').length") > 10
    assert "original, base." in page.do("document.getElementById('left-of').textContent")
    shares = page.do("[...document.querySelectorAll('#widths .bar span')].map(b => parseInt(b.textContent))")
    assert min(shares) < 70 < max(shares) <= 100  # of the original's, not of their own widest
    page.wait("document.querySelector('#map .filled')?.textContent === '-0.40'")
    shot(page, "compare")


def test_nothing_is_cut_off_on_a_phone(page: Page) -> None:
    page.size(360, 740)
    for tab in ("compare", "files", "assistant"):
        page.do(f"document.getElementById('tab-{tab}').click()")
        assert page.do("document.documentElement.scrollWidth") <= 360
        shot(page, f"phone-{tab}")
    page.size(1000, 860)

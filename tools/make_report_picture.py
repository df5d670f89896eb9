"""docs/report.png: the page that `secateur report` makes of the main job's committed results, as Chromium shows it.

tools/make_report_picture.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import packed
from PIL import Image

from secateur.cli import main

ROOT = Path(__file__).resolve().parent.parent
RESULTS = packed.results(ROOT / "experiments" / "main_job" / "results")
ARMS = {"original-0": "original", "dense-0": "dense", "pruned30-0": "pruned"}
TEST = "speechocean762.json"
SIZE = (1100, 1000)  # pixels of the page


def picture(target: Path) -> None:
    """Make the page and take its picture."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium here")
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "adapted"
        for source, name in ARMS.items():
            for file in ("config.json", "metrics.jsonl", f"results/{TEST}"):
                if (RESULTS / source / file).exists():
                    place = run / name / file
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(RESULTS / source / file, place)
        assert main(["report", str(run), "--title", "Whisper tiny.en, adapted and pruned"]) == 0
        shot = Path(scratch) / "report.png"
        subprocess.run([
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={shot}",
            f"--window-size={SIZE[0]},{SIZE[1]}", (run / "report.html").as_uri(),
        ], check=True, capture_output=True)  # fmt: skip
        Image.open(shot).convert("RGB").save(target, optimize=True)  # a palette merges colours of series


if __name__ == "__main__":
    picture(ROOT / "docs" / "report.png")
    print(f"docs/report.png: {(ROOT / 'docs' / 'report.png').stat().st_size // 1000} kB")

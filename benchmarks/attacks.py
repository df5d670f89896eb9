"""Attacks that the tests try on a real server and on model folders, counted by their class.

    python benchmarks/attacks.py --out benchmarks/results/attacks.json

Runs the tests below and counts, of every class of attack (a test function), how many were tried and how many ended as
they should: refused with an answer, or closed, with the server serving others. What a class tries is its test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from recorded import how

from secateur.base.files import write_json

ROOT = Path(__file__).resolve().parent.parent
# (what is attacked, the file, which of its tests; empty: all)
ATTACKS = (
    ("who may ask", "tests/server/test_access.py", ""),
    ("HTTP, WebSocket, Wyoming", "tests/server/test_serve_abuse.py", ""),
    ("clients that leave", "tests/server/test_serve_left.py", ""),
    ("fields of a form", "tests/server/test_serve_openai.py", "refused or key_is_needed or too_many"),
    ("realtime events", "tests/server/test_serve_realtime.py", "wrong or no_key"),
    ("ONNX files, byte by byte", "tests/hostile/test_onnx_wire.py", ""),
    ("model folders signed again", "tests/hostile/test_resigned.py", ""),
)


def main() -> None:
    """Try, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the rows as JSON here")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what, file, chosen in ATTACKS:
            report = Path(folder) / "report.xml"
            words = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", file, *(["-k", chosen] if chosen else [])]
            subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
            tried, stopped = Counter[str](), Counter[str]()
            for case in ElementTree.parse(report).iter("testcase"):
                name = str(case.get("name")).partition("[")[0].removeprefix("test_").replace("_", " ")
                if case.find("skipped") is None:
                    tried[name] += 1
                    stopped[name] += case.find("failure") is None and case.find("error") is None
            rows += [
                {"what": what, "file": file, "attack": name, "tried": tried[name], "stopped": stopped[name]}
                for name in tried
            ]
            print(*rows[-len(tried) :], sep="\n", flush=True)
    if options.out:
        write_json(options.out, {"how": how(), "rows": rows})


if __name__ == "__main__":
    main()

"""Runs of a study, or scripts, as forks of a process that has imported what they need: torch takes seconds to start.

A fork is a process of its own that does what `python -m secateur.study.one` or `python SCRIPT` does. Requests and
answers of the forking process are lines of JSON: `words`, `log`, `folder`, `environment` and perhaps `script` of a run,
answered by its `process`; or `poll`, the process asked about, answered by its exit `code`, null while it runs.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import runpy
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MODULE = "secateur.study.one"


def fork(words: Sequence[str], log: Path, script: str | None = None) -> int:
    """Begin a run, or a script, in a fork of this process, which has computed nothing yet; the id of its process."""
    process = os.fork()
    if process:
        return process
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    code = 1
    try:
        sys.argv = ["", *words]
        if script:
            runpy.run_path(script, run_name="__main__")
        else:
            runpy.run_module(MODULE, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):  # closed by what was run
            stream.flush()
    os._exit(code)


def ended(process: int) -> int | None:
    """The exit code of a fork of this process, None while it runs."""
    done, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def main() -> None:
    """Import, say so, serve until standard input ends."""
    # The compiler is imported by the first optimizer, whether it is used or not.
    for module in (MODULE, "safetensors.torch", "torch._dynamo", "rich.progress", "kaldialign", "onnxruntime"):
        __import__(module)
    gc.freeze()  # or every fork would look through, and copy, what has been imported
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            print(json.dumps({"code": ended(request["poll"])}), flush=True)
            continue
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        process = fork(request["words"], Path(request["log"]), request.get("script"))
        print(json.dumps({"process": process}), flush=True)


@functools.cache
def server() -> subprocess.Popen[str]:
    """The forking process of these tests; it ends when they do."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and json.loads(process.stdout.readline())["ready"]
    return process


def ask(**request: Any) -> Any:
    """The answer of the forking process."""
    process = server()
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


class Forked:
    """What `secateur.study.runs` asks of the process of a run."""

    def __init__(self, process: int) -> None:
        self.process = process
        self.code: int | None = None

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.code is None:
            self.code = ask(poll=self.process)["code"]
        return self.code

    def wait(self) -> int:
        """The exit code, when there is one."""
        while (code := self.poll()) is None:
            time.sleep(0.05)
        return code


def run_of(paths: Any, piece: tuple[str, int], device: str) -> tuple[list[str], Path]:
    """The words of a run, and its log, in a folder that is there: what `StudyPaths.start` begins."""
    name, seed = piece
    folder = paths.out / f"{name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    return [str(paths.study), str(paths.data), str(paths.out), name, str(seed), device], folder / "log.txt"


def start(paths: Any, piece: tuple[str, int], device: str) -> Forked:
    """In the place of `StudyPaths.start`."""
    return begun(*run_of(paths, piece, device))


def begun(
    words: Sequence[str], log: Path, script: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Forked:
    """A run, or `script`, with these words and in these surroundings, which writes what it prints to `log`."""
    request = {"words": list(words), "log": str(log), "script": script and str(script)}
    return Forked(ask(**request, folder=str(Path.cwd()), environment=dict(environment))["process"])


if __name__ == "__main__":
    main()

"""A process that has imported everything and forks one command after another, to be killed at a chosen moment.

Starting Python and torch takes seconds, what is killed here takes one: only so are hundreds of kills affordable. A
child is a whole process of its own: SIGKILL leaves it no last word.

Requests and answers are lines of JSON. Request: `words` (of the command line), `place` (the folder whose changes
count), `log` (file for standard error), and perhaps `after` (seconds until it is killed), `event` (number of the change
to a file in `place` before which it is killed), `alone` (its child processes live on), `limits` (see `restrict`).
Answer: `code` (exit code, -9: killed), `seconds`, `events` (changes seen).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from forked_runs import ended, fork, run_of

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "shutil.rmtree", "tempfile.mkstemp"}


def watch(folder: str, event: int | None, counter: int) -> None:
    """Count the changes to files in `folder`, in the pipe `counter`, and die before number `event`."""
    seen, watched = 0, os.getpid()

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if os.getpid() != watched:  # a run of a study, which has its own end
            return
        if name == "open":
            path, mode, _ = arguments
            if not isinstance(path, str | bytes | os.PathLike) or not (mode and set(str(mode)) & set("wax+")):
                return
        elif name not in CHANGES:
            return
        if not any(folder in os.fsdecode(a) for a in arguments if isinstance(a, str | bytes | os.PathLike)):
            return
        seen += 1
        if event is not None and seen >= event:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(counter, b".")

    sys.addaudithook(hook)


def restrict(limits: dict[str, Any]) -> None:
    """`file`: bytes of the largest file (a full disk); `memory`: bytes of address space; `modes`: hold for root too."""
    if "file" in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file"], limits["file"]))
    if "memory" in limits:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limits["memory"],) * 2)
    if limits.get("modes"):
        respect_modes()


def respect_modes() -> None:
    """Give up root's right to write where the mode of a folder forbids it (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # the third version of the call, for this process
    sets = (ctypes.c_uint32 * 6)()
    if library.capget(header, sets) == 0:
        for i in range(3):  # effective, permitted, inheritable
            sets[i] &= ~0b110
        library.capset(header, sets)


class Run:
    """A run of a study: a fork of the command's process, instead of the Python that `StudyPaths.start` begins."""

    def __init__(self, process: int) -> None:
        self.process = process

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return ended(self.process)


def child(request: dict[str, Any], counter: int) -> None:
    """Run one command, never to return."""
    os.setsid()
    with Path(request["log"]).open("ab") as log, Path(os.devnull).open("rb") as nothing:
        os.dup2(log.fileno(), 2)
        os.dup2(log.fileno(), 1)
        os.dup2(nothing.fileno(), 0)
    watch(request["place"], request.get("event"), counter)
    restrict(request.get("limits", {}))
    from secateur.cli import main
    from secateur.study.runs import StudyPaths

    StudyPaths.start = lambda *run: Run(fork(*run_of(*run)))  # type: ignore[assignment,method-assign]
    code = 70
    try:
        code = main(request["words"])
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Fork, wait or kill, and say what happened."""
    reading, writing = os.pipe2(os.O_NONBLOCK)
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        child(request, writing)
    os.close(writing)
    events, after, killed = 0, request.get("after"), False
    while True:
        with contextlib.suppress(BlockingIOError):
            events += len(os.read(reading, 65536))
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if after is not None and not killed and time.monotonic() - started >= after:
            killed = True
            with contextlib.suppress(ProcessLookupError):  # it may have ended in this moment, or not begun
                (os.kill if request.get("alone") else os.killpg)(pid, signal.SIGKILL)
        time.sleep(0.002)
    if killed and not request.get("alone"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(BlockingIOError):
        events += len(os.read(reading, 1 << 20))
    os.close(reading)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - started, "events": events}


def main() -> None:
    """Import, say so, serve until standard input ends."""
    import torch

    torch.set_num_threads(1)
    for module in (
        "cli.train", "cli.prune", "cli.export", "cli.evaluate", "cli.sensitivity", "cli.study", "study.arm",
        "study.oneshot", "export.job", "study.sets_of_job", "families.ctc.new_model", "weights.fetch", "study.runs",
        "study.outcome", "study.page", "study.store", "study.preview", "sensitivity.run", "api.check",
    ):  # fmt: skip
        __import__(f"secateur.{module}")
    # The compiler is imported by the first optimizer, whether it is used or not: two seconds of every child otherwise.
    for module in (
        "safetensors.torch", "onnxruntime", "onnx.checker", "torch._dynamo", "rich.progress", "kaldialign",
        "whisper_normalizer.english",
    ):  # fmt: skip
        __import__(module)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

"""A process that has imported Keras with one backend and forks for each script: TensorFlow takes seconds to import.

Requests and answers are lines of JSON: `words` (the script and its arguments), `folder` (where it runs), `said` (the
file for what it prints), perhaps `code` (run instead of a script) and `writers` (who is asked for files of the other
backend, see `asking`); then the exit code. Nothing of secateur is imported before the script does.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any


def child(request: dict[str, Any]) -> None:
    """Run one script as `python script ...` would, never to return."""
    os.chdir(request["folder"])
    with Path(request["said"]).open("wb") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    sys.argv = request["words"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    if "writers" in request:
        subprocess.run = asking(request["writers"], subprocess.run)  # type: ignore[assignment]
    code = 1
    try:
        if "code" in request:
            exec(request["code"], {"__name__": "__main__"})
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def asking(address: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """`subprocess.run` that has the process of the other backend fork where one would be started to write a file.

    LiteRT's are left to processes of their own, as a user's are.
    """

    def either(words: list[str], **options: Any) -> Any:
        if words[1] != "-c" or "write_saved" not in words[2] or "litert" in words:
            return run(words, **options)
        with Client(address, "AF_UNIX") as asked:
            asked.send((options["env"]["KERAS_BACKEND"], words[2], words[3:]))
            code, said = asked.recv()
        return subprocess.CompletedProcess(words, code, "", said)

    return either


def main() -> None:
    """Import, say so, serve until standard input ends."""
    from keras.src.backend import backend
    from keras.src.trainers import trainer

    if backend() == "torch":
        import torch._dynamo  # by the first seed that is set  # noqa: F401

        if importlib.util.find_spec("tensorflow"):
            importlib.import_module("tensorflow")  # by the first network that is saved, with any backend
    # XLA compiles every step and batch size of every small model for seconds; `test_founding` trains with it.
    trainer.model_supports_jit = lambda model: False
    gc.freeze()  # or every fork would look through, and copy, what has been imported
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(json.loads(line))
        print(json.dumps({"code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}), flush=True)


if __name__ == "__main__":
    main()

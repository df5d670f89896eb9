"""The model hub's own client against a hub on this machine: what is fetched, and a hub that is not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("huggingface_hub")

import forked_runs  # noqa: E402
from ctranslate2_files import model_bin, small_uniform, stored_as, variables_of, write_folder  # noqa: E402

from secateur.models.checkpoint import load_checkpoint  # noqa: E402
from secateur.weights.hub import needed_files  # noqa: E402

COMMIT = "a" * 40


@contextlib.contextmanager
def hub(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A hub with one repository, someone/mini, and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            asked.append(self.path.split("/")[-1])
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            if self.path.startswith("/api/models/someone/mini"):
                names = [{"rfilename": f.name} for f in sorted(folder.iterdir())]
                data, status = json.dumps({"id": "someone/mini", "sha": COMMIT, "siblings": names}).encode(), 200
            elif self.path.startswith("/someone/mini/resolve/"):
                data, status = (folder / self.path.split("/")[-1]).read_bytes(), 200
            else:
                data, status = b"{}", 404
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def surroundings(endpoint: str, home: Path) -> dict[str, str]:
    """Environment variables for a process of its own: the client reads its settings when it is imported."""
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home / "hub"), "SECATEUR_CACHE": str(home / "cache")}
    gone = {"http_proxy", "https_proxy", "all_proxy", "hf_hub_offline", "hf_token"}
    inherited = {key: value for key, value in os.environ.items() if key.lower() not in gone}
    return inherited | own | {"NO_PROXY": "*"}


FETCH = """
import sys
from secateur.cli import main
sys.stdout = open(sys.argv[1], "w")
sys.exit(main(["models", "fetch", sys.argv[2]]))
"""


def fetched(name: str, endpoint: str, home: Path) -> subprocess.CompletedProcess[str]:
    """What `secateur models fetch` does and says, in a fork that has torch but not yet the client of the hub."""
    script, printed, said = home / "fetch.py", home / "printed.txt", home / "said.txt"
    script.write_text(FETCH)
    said.unlink(missing_ok=True)
    run = forked_runs.begun([str(printed), name], said, script, surroundings(endpoint, home))
    return subprocess.CompletedProcess(name, run.wait(), printed.read_text(), said.read_text())


def test_only_what_is_needed_is_fetched_and_kept(tmp_path: Path) -> None:
    model, tokenizer = small_uniform()
    theirs = write_folder(tmp_path / "theirs", model_bin(stored_as(variables_of(model), "float16")), tokenizer)
    for name in ("flax_model.msgpack", "pytorch_model.bin", "README.md"):
        (theirs / name).write_bytes(b"not needed")
    with hub(theirs) as (endpoint, asked):
        first = fetched("someone/mini", endpoint, tmp_path)
        assert first.returncode == 0, first.stderr
        assert {name for name in asked if "." in name} == {"model.bin", "config.json", "tokenizer.json"}
        before = len(asked)
        second = fetched("someone/mini", endpoint, tmp_path)
        assert (second.returncode, second.stdout) == (0, first.stdout)
        assert len(asked) == before  # not even a question
        missing = fetched("someone/else", endpoint, tmp_path)
        assert missing.returncode == 2
        assert "there is no folder someone/else here" in missing.stderr
    again, _ = load_checkpoint(Path(first.stdout.strip()))
    state = model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    assert again.config.name == "mini"


def test_what_the_client_has_kept_serves_without_a_hub(tmp_path: Path) -> None:
    """Someone used the model with another library before, and is offline now."""
    model, tokenizer = small_uniform()
    theirs = write_folder(tmp_path / "theirs", model_bin(variables_of(model)), tokenizer)
    with hub(theirs) as (endpoint, _):
        files = [file.name for file in theirs.iterdir()]
        code = f"import huggingface_hub as h; [h.hf_hub_download('someone/mini', name) for name in {files}]"
        subprocess.run([sys.executable, "-c", code], env=surroundings(endpoint, tmp_path), check=True, timeout=120)
    offline = fetched("someone/mini", "http://127.0.0.1:9", tmp_path)
    assert offline.returncode == 0, offline.stderr
    again, _ = load_checkpoint(Path(offline.stdout.strip()))
    assert torch.equal(again.encoder.conv1.weight, model.encoder.conv1.weight)


@pytest.mark.parametrize("kind", ["silent", "closed"])
def test_a_hub_that_is_not_there_is_one_line(kind: str, tmp_path: Path) -> None:
    """A firewall that swallows packets (or a server that never answers) must not stop the program for good."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if kind == "silent":
            silent.listen(20)
        answer = fetched("someone/mini", f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
    assert answer.returncode == 2
    last = answer.stderr.strip().splitlines()[-1]
    assert "the model hub did not give someone/mini" in last
    assert "Traceback" not in answer.stderr


def test_pieces_only_where_there_is_no_whole() -> None:
    pieces = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    other = ["model.fp32-00001-of-00002.safetensors", "flax_model.msgpack", "onnx/model.safetensors", "README.md"]
    assert needed_files([*pieces, "config.json", *other]) == [*pieces, "config.json"]
    assert needed_files([*pieces, "config.json", "model.safetensors", *other]) == ["config.json", "model.safetensors"]

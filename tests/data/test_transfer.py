"""Fetching from a real (loopback) server: resumed, checked, and never half there."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from speech_server import Server, serve

from secateur.base.errors import SecateurError
from secateur.data.transfer import fetch, first_to_answer

BODY = np.random.default_rng(0).bytes(700_000)
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "set.tar").write_bytes(BODY)
    with serve(tmp_path / "www") as running:
        yield running


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_a_file_comes_whole_and_only_once(server: Server, tmp_path: Path) -> None:
    path = fetch([f"{server.url}/set.tar"], tmp_path / "got" / "set.tar", MD5)
    assert path.read_bytes() == BODY
    assert names(tmp_path / "got") == ["set.tar"]
    fetch([f"{server.url}/set.tar"], path, MD5)
    assert len(server.requests) == 1


def test_a_broken_connection_is_resumed_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.cut_after = [300_000, 100_000]
    path = fetch([f"{server.url}/set.tar"], tmp_path / "set.tar", MD5, timeout=5)
    assert path.read_bytes() == BODY
    assert [asked for _, asked in server.requests] == ["", "bytes=300000-", "bytes=400000-"]


def test_an_interrupted_run_goes_on_in_the_next(server: Server, tmp_path: Path) -> None:
    server.cut_after = [250_000, 0, 0, 0, 0]
    with pytest.raises(SecateurError, match="ended too early"):
        fetch([f"{server.url}/set.tar"], tmp_path / "set.tar", MD5, timeout=5)
    assert "set.tar" not in names(tmp_path)
    assert (tmp_path / "set.tar.part").stat().st_size == 250_000
    server.requests.clear()
    server.cut_after = []
    assert fetch([f"{server.url}/set.tar"], tmp_path / "set.tar", MD5).read_bytes() == BODY
    assert [asked for _, asked in server.requests] == ["bytes=250000-"]


def test_a_whole_part_needs_no_bytes_and_a_too_long_one_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.tar.part").write_bytes(BODY)
    assert fetch([f"{server.url}/set.tar"], tmp_path / "set.tar", MD5).read_bytes() == BODY
    assert len(server.requests) == 1
    (tmp_path / "other.part").write_bytes(BODY + b"more")
    assert fetch([f"{server.url}/set.tar"], tmp_path / "other", MD5).read_bytes() == BODY


def test_servers_without_ranges_and_changed_files_start_anew(server: Server, tmp_path: Path) -> None:
    server.cut_after = [250_000]
    server.ranges = False
    assert fetch([f"{server.url}/set.tar"], tmp_path / "a", MD5).read_bytes() == BODY
    server.ranges = True
    server.etag = '"two"'
    (tmp_path / "b.part").write_bytes(b"an old version" * 1000)
    (tmp_path / "b.part.etag").write_text('"one"')
    assert fetch([f"{server.url}/set.tar"], tmp_path / "b", MD5).read_bytes() == BODY


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SecateurError) as caught:
        fetch([f"{server.url}/set.tar"], tmp_path / "got" / "set.tar", "md5:" + "0" * 32)
    assert f"wrong checksum: {MD5.replace(':', ' ')} instead of {'0' * 32}" in str(caught.value)
    assert names(tmp_path / "got") == []


def test_the_next_address_is_tried_and_all_are_listed(server: Server, tmp_path: Path) -> None:
    with socket.socket() as reserved:  # bound but not listening: connections are refused
        reserved.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{reserved.getsockname()[1]}/set.tar"
        path = fetch([gone, f"{server.url}/none.tar", f"{server.url}/set.tar"], tmp_path / "set.tar", MD5)
        assert path.read_bytes() == BODY
        with pytest.raises(SecateurError) as caught:
            fetch([gone, f"{server.url}/none.tar"], tmp_path / "none.tar")
    message = str(caught.value)
    assert message.startswith("none.tar could not be fetched; tried ")
    assert f"{gone} (Connection refused)" in message
    assert f"{server.url}/none.tar (HTTP 404 Not Found)" in message
    assert "\n" not in message


def test_an_unknown_checksum_is_noted_and_held_against_the_next_download(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fetch([f"{server.url}/set.tar"], tmp_path / "got" / "set.tar")
    assert hashlib.sha256(BODY).hexdigest() in capsys.readouterr().err
    assert (tmp_path / "got" / "set.tar.sha256").read_text().split() == [hashlib.sha256(BODY).hexdigest(), "set.tar"]
    path.unlink()
    (server.folder / "set.tar").write_bytes(BODY[::-1])
    with pytest.raises(SecateurError, match="wrong checksum"):
        fetch([f"{server.url}/set.tar"], path)
    assert names(tmp_path / "got") == ["set.tar.sha256"]


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecateurError, match="cannot keep the download"):
        fetch([f"{server.url}/set.tar"], tmp_path / "file" / "set.tar", MD5)


def test_the_server_that_answers_is_found_among_dead_and_silent_ones(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}/set.tar"
        others = [hanging, "http://127.0.0.1:9/set.tar", f"{server.url}/none.tar"]
        assert first_to_answer([*others, f"{server.url}/set.tar"], 30.0) == f"{server.url}/set.tar"
        assert first_to_answer(others, 0.2) is None
    assert first_to_answer(others[1:], 1e6) is None  # all have failed: nothing is waited for

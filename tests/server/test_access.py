"""Who may ask a server: names that point at it from elsewhere, pages of other sites, ports and keys at its start."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("wyoming")
websockets = pytest.importorskip("websockets")
from running_server import Running, free_port, serving  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from secateur.cli import main  # noqa: E402

OURS = "https://ours.example"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    words = ["--access.hosts", "asr.home,proxy.example", "--access.origins", OURS, "--detector", "energy"]
    with serving(*words) as running:
        yield running


def ask(
    server: Running, host: str, path: str = "/v1/models", method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


ELSEWHERE = [
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.example", "", "asr.home.evil.example",
    "[evil]",
]  # fmt: skip
HERE = ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8000", "192.168.1.7", "asr.home", "proxy.example:443"]


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize("path", ["/v1/models", "/", "/healthz", "/metrics", "/v1/assistant"])
def test_a_name_that_points_here_from_elsewhere_is_misdirected(server: Running, host: str, path: str) -> None:
    status, _, body = ask(server, host, path, Origin=f"http://{host}")
    assert status == 421 and "--access.hosts" in json.loads(body)["error"]["message"]


@pytest.mark.parametrize("host", [*HERE, socket.gethostname()])
def test_its_own_names_and_addresses_are_served(server: Running, host: str) -> None:
    assert ask(server, host)[0] == 200


@pytest.mark.parametrize(
    ("host", "origin"), [("evil.example", "http://evil.example"), ("127.0.0.1", "http://evil.example")]
)
def test_sockets_are_held_to_the_same(server: Running, host: str, origin: str) -> None:
    with (
        pytest.raises(Exception, match=r"403|1008|rejected"),
        connect(f"ws://127.0.0.1:{server.port}/v1/listen", origin=origin, additional_headers={"Host": host}) as one,
    ):
        one.send(json.dumps({"type": "start"}))
        one.recv(timeout=5)
    with connect(f"ws://127.0.0.1:{server.port}/v1/listen", origin=OURS) as one:
        one.send(json.dumps({"type": "start"}))
        assert json.loads(one.recv(timeout=20))["type"] == "ready"


def test_pages_of_other_sites_only_where_they_are_named(server: Running) -> None:
    status, headers, _ = ask(server, "localhost", Origin=OURS)
    assert status == 200 and headers["access-control-allow-origin"] == OURS
    status, headers, _ = ask(server, "localhost", method="OPTIONS", Origin=OURS, Access_Control_Request_Method="POST")
    assert status == 204 and "authorization" in headers["access-control-allow-headers"]
    status, headers, _ = ask(server, "localhost", Origin="https://other.example")
    assert status == 403 and "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", ["/", "/app.js", "/v1/models", "/nowhere"])
def test_every_answer_says_what_a_browser_may_make_of_it(server: Running, path: str) -> None:
    _, headers, _ = ask(server, "localhost", path)
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy and "default-src 'self'" in policy and "unsafe-eval" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_a_key_that_does_not_guard_wyoming_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text("secret")
    words = ["serve", "--host", "0.0.0.0", "--wyoming-port", "10300", "--api-key-file", str(tmp_path / "key")]
    assert main(words) == 2
    assert "the key does not guard Wyoming" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--port", "--wyoming-port"])
def test_a_busy_port_is_one_line(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        other = [] if flag == "--port" else ["--port", str(free_port())]
        assert main(["serve", flag, str(one.getsockname()[1]), *other]) == 2
    line = capsys.readouterr().err.strip()
    assert "cannot be listened on" in line and "\n" not in line


def test_an_address_of_another_machine_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "203.0.113.9", "--port", str(free_port())]) == 2
    assert "cannot be listened on" in capsys.readouterr().err

"""`twinproof watch`: against a node, and against servers that break off, lie or refuse."""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.builders import OTHER_TWIN, TWIN
from tests.cli.rig import Cli
from tests.server.events_rig import DEVICE, Node, running
from twinproof.cli.event_stream import EventStream
from twinproof.cli.watch import line_of
from twinproof.errors import AccessDenied, Malformed, Overloaded, TwinproofError, Unauthenticated, Unreachable
from twinproof.node.node import POLICY
from twinproof.proof.policy import parse_policy
from twinproof.verify import verify_transparent


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("watch") / "node") as started:
        started.record(640.5, 646.5)
        started.record(1.0, subject=OTHER_TWIN)
        yield started


def url_of(node: Node) -> str:
    return "http://{}:{}".format(*node.address)


def test_lines_for_people(cli: Cli, node: Node) -> None:
    shown = cli("watch", "--url", url_of(node), "--after", "-1", "--count", 6).stdout.splitlines()
    assert shown[0].startswith("       0  2")
    assert "genesis" in shown[0]
    assert shown[3] == f"       3  2023-11-14T22:13:20Z  readings         {TWIN}  T24=640.5 K"


def test_json_lines_with_a_filter(cli: Cli, node: Node) -> None:
    arguments = ["--where", "T24 > 640.5", "--kind", "readings", "--issuer", DEVICE.issuer, "--after", 2]
    (line,) = cli("watch", "--url", url_of(node), *arguments, "--count", 1, "--json").stdout.splitlines()
    event = json.loads(line)
    assert (event["index"], event["payload"]["series"][0]["values"]) == (4, [646.5])
    arguments = ["--twin", OTHER_TWIN, "--prefix", "https://nowhere.example/", "--after", "-1"]
    (line,) = cli("watch", "--url", url_of(node), *arguments, "--count", 1, "--json").stdout.splitlines()
    assert json.loads(line)["twin"] == OTHER_TWIN


def test_proofs(cli: Cli, node: Node) -> None:
    (line,) = cli("watch", "--url", url_of(node), "--after", 2, "--proofs", "--count", 1, "--json").stdout.splitlines()
    policy = parse_policy((node.live.node.folder / POLICY).read_bytes())
    transparent = b64decode(json.loads(line)["transparent"])
    assert verify_transparent(transparent, policy, DEVICE.key.public).statement.raw == node.script.raws[3]


def test_wrong_usage_and_refusals(cli: Cli, node: Node) -> None:
    cli("watch", code=2)
    cli("watch", "--url", "nowhere", code=2)
    cli("watch", "--url", url_of(node), "--twin", "x", code=2)
    for words in (["--where", "T24 >"], ["--kind", "reading"], ["--after", "x"], ["--after", 999_999]):
        assert cli.error("watch", "--url", url_of(node), *words, code=2)["code"] == "malformed"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert cli.error("watch", "--url", f"http://127.0.0.1:{port}", code=3)["code"] == "unreachable"


def test_an_entry_cannot_steer_the_terminal() -> None:
    series = {"name": "T", "unit": "K", "times": [1], "values": ["\x1b[2J\u202e"]}
    payloads: tuple[Any, ...] = (
        {"series": [series] * 9},
        {"text": "\x9b2J"},
        {"series": [7]},
        {"series": {}},
        None,
        "\x1b",
    )
    for payload in payloads:
        line = line_of({"type": "entry", "index": "\x1b]0;x\x07", "kind": None, "twin": "\r", "payload": payload})
        assert line.isprintable()


# --- servers that are not so kind -------------------------------------------------------------

Answer = bytes
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def entry(index: int) -> bytes:
    event = {"type": "entry", "index": index}
    return b"id: %d\ndata: %s\n\n" % (index, json.dumps(event).encode())


@contextmanager
def server(*answers: Answer) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Gives each connection the next answer and hangs up; the address, and the queries and tokens that came."""
    asked: list[dict[str, str]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += connection.recv(65536)
                    lines = head.decode().split("\r\n")
                    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
                    query = dict(parse_qsl(urlsplit(lines[0].split()[1]).query))
                    asked.append(query | ({"token": headers["authorization"]} if "authorization" in headers else {}))
                    connection.sendall(answer)

        thread = threading.Thread(target=work)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        thread.join(30)
        assert not thread.is_alive()


def followed(url: str, count: int, query: list[tuple[str, str]], **more: Any) -> tuple[list[int], list[float]]:
    """Indices of the next entries, and how long it waited in between."""
    waited: list[float] = []
    found = []
    stream = EventStream(url, query, sleep=waited.append, **more)
    for event in stream:
        if event["type"] == "entry":
            found.append(event["index"])
        if len(found) == count:
            break
    return found, waited


def test_it_comes_back_after_the_last_whole_event() -> None:
    ready = b'id: 4\nevent: ready\ndata: {"type": "ready", "next": 5}\n\n'
    cut = entry(7)[:-8]
    busy = b'HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 15\r\n\r\n{"detail": "x"}'
    end = b'id: 8\nevent: end\ndata: {"type": "end", "code": "overloaded", "message": "bye"}\n\n'
    notes: list[str] = []
    with server(
        HEAD + ready + entry(5) + entry(6) + cut,
        b"",
        busy,
        HEAD + entry(7) + b": beat\n\nid: 8\n\n" + end,
        HEAD + entry(9),
    ) as (url, asked):
        found, waited = followed(url, 4, [("kind", "readings")], note=notes.append, token="t")
    assert found == [5, 6, 7, 9]
    assert [query.get("after") for query in asked] == [None, "6", "6", "6", "8"]
    assert {query["kind"] for query in asked} == {"readings"}
    assert {query["token"] for query in asked} == {"Bearer t"}
    assert len(waited) == 4
    assert waited[2] >= 5
    assert all(0 < wait <= 30 for wait in waited)
    assert notes[0].endswith("to go on after entry 6")


REFUSALS: list[tuple[Answer, type[TwinproofError]]] = [
    (b'HTTP/1.1 400 x\r\ncontent-length: 15\r\n\r\n{"detail": "x"}', Malformed),
    (b'HTTP/1.1 401 x\r\ncontent-length: 15\r\n\r\n{"detail": "x"}', Unauthenticated),
    (b'HTTP/1.1 403 x\r\ncontent-length: 15\r\n\r\n{"detail": "x"}', AccessDenied),
    (b'HTTP/1.1 429 x\r\ncontent-length: 15\r\n\r\n{"detail": "x"}', Overloaded),
    (b"HTTP/1.1 404 x\r\ncontent-length: 2\r\n\r\nno", Unreachable),
    (b"HTTP/1.1 500 x\r\ncontent-length: 2\r\n\r\n[]", Unreachable),
    (b"HTTP/1.1 302 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", Unreachable),
    (b"nonsense\r\n\r\n", Unreachable),
    (b"", Unreachable),
    (HEAD + b"data: hello\n\n", Unreachable),
    (HEAD + b"data: [1]\n\n", Unreachable),
    (HEAD + b"data: " + b"[" * 50_000 + b"\n\n", Unreachable),
    (HEAD + b'data: {"type": 3}\n\n', Unreachable),
    (HEAD + b'data: {"type": "end", "code": "unauthenticated"}\n\n', Unauthenticated),
    (HEAD + b'data: {"type": "end", "code": "access-denied"}\n\n', AccessDenied),
]


@pytest.mark.parametrize(("answer", "error"), REFUSALS, ids=[str(answer[:40] + answer[-20:]) for answer, _ in REFUSALS])
def test_what_it_gives_up_on(answer: Answer, error: type[TwinproofError]) -> None:
    with server(answer) as (url, _), pytest.raises(error) as caught:
        followed(url, 1, [])
    assert type(caught.value) in (error, *error.__subclasses__())


def test_a_line_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.cli.event_stream.MAX_LINE", 1000)
    with server(HEAD + b"data: " + b"x" * 5000) as (url, _), pytest.raises(Unreachable, match="more than 1000 bytes"):
        followed(url, 1, [])


def test_a_node_that_comes_back(tmp_path: Path) -> None:
    """A real node, stopped and started again on the same port."""
    folder = tmp_path / "node"
    found: list[int] = []
    nodes: list[Callable[[], None]] = []
    with running(folder) as first:
        first.record(1.0, 2.0)
        address = first.address
        stream = EventStream(url_of(first), [("after", "-1")], sleep=lambda seconds: nodes.pop()())
        events = (event for event in stream if event["type"] == "entry")
        found += [next(events)["index"] for _ in range(5)]

    def come_back() -> None:
        second = again.enter_context(running(folder, port=address[1]))
        second.record(3.0)

    with ExitStack() as again:
        nodes.append(come_back)
        found.append(next(events)["index"])
        events.close()
    assert found == list(range(6))

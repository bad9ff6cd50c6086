"""The HTTP sink against a small real server, friendly and hostile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.edge.device import ISSUER, KEY, PUMP, Device, readings_of
from twinproof.edge.sinks import Delivered, HttpSink, Refused, parse_head, parse_results
from twinproof.errors import ConfigError, Malformed, Overloaded, RateLimited, TooLarge, Unreachable
from twinproof.proof import cbor
from twinproof.testing.clock import ManualClock
from twinproof.testing.edge import CBOR, PROBLEM, Answer, FakeLog, serve_log
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, format_senml
from twinproof.twin.statement import parse_statement, sign_statement
from twinproof.twin.stream import StreamHead

NOW = 1_700_000_000


def statement(seq: int = 0, prev: bytes | None = None) -> bytes:
    return sign_statement(
        KEY,
        issuer=ISSUER,
        subject=PUMP,
        content_type=SENML,
        payload=format_senml([Reading("a", seq, None, NOW)]),
        seq=seq,
        prev=prev,
        issued_at=NOW,
    )


@pytest.fixture
def log() -> FakeLog:
    return FakeLog({KEY.public.thumbprint: KEY.public}, clock=ManualClock())


@contextmanager
def sink_to(log: FakeLog, twist: Callable[[str, Answer], Answer | None] | None = None) -> Iterator[HttpSink]:
    with serve_log(log, twist=twist or (lambda path, answer: answer)) as url:
        sink = HttpSink(url, timeout=5)
        try:
            yield sink
        finally:
            sink.close()


def test_statements_go_and_receipts_come_back(log: FakeLog) -> None:
    first = statement()
    second = statement(1, parse_statement(first).digest)
    with sink_to(log) as sink:
        assert sink.head(ISSUER, PUMP) is None
        answers = sink.send([first, second])
        assert [type(answer) for answer in answers] == [Delivered, Delivered]
        assert answers == log.send([first, second])
        assert sink.head(ISSUER, PUMP) == StreamHead(1, parse_statement(second).digest)
    assert log.entries[1:] == [first, second]


def test_refusals_keep_their_code_and_number(log: FakeLog) -> None:
    with sink_to(log) as sink:
        [gap] = sink.send([statement(5, bytes(32))])
        assert isinstance(gap, Refused)
        assert (gap.code, gap.expected, gap.retry) == ("gap", 0, False)
        log.clock = ManualClock(NOW - 5000)
        [future] = sink.send([statement()])
        assert isinstance(future, Refused)
        assert (future.code, future.retry) == ("future-dated", True)


def test_a_whole_recorder_over_http(tmp_path: Path) -> None:
    device = Device(tmp_path)
    try:
        with sink_to(device.log) as sink:
            device.recorder._courier._sink = sink
            device.twin().record({"a": 1})
            device.recorder.flush()
            device.deliver()
            assert device.values() == [1]
            device.restore(None)
            device.recorder._courier._sink = sink
            device.twin().record({"a": 2})
            device.recorder.flush()
            device.deliver()
        assert device.values() == [1, 2]
        assert len(device.resumes()) == 1
        assert device.problems == []
    finally:
        device.close()


@pytest.mark.parametrize(
    ("status", "retry_after", "error", "seconds"),
    [
        (503, "12", Overloaded, 12),
        (429, "3", RateLimited, 3),
        (503, "soon", Overloaded, 30),
        (503, "+5", Overloaded, 30),
        (503, "-1", Overloaded, 30),
        (503, "1e3", Overloaded, 30),
        (503, None, Overloaded, 30),
        (503, "9" * 40, Overloaded, 30),
    ],
)
def test_busy_answers(
    log: FakeLog, status: int, retry_after: str | None, error: type[Overloaded], seconds: int
) -> None:
    headers = {**PROBLEM, **({} if retry_after is None else {"Retry-After": retry_after})}
    with (
        sink_to(log, lambda path, answer: (status, headers, cbor.encode({-1: "Busy"}))) as sink,
        pytest.raises(Overloaded, match="busy: Busy") as refusal,
    ):
        sink.send([statement()])
    assert type(refusal.value) is error
    assert refusal.value.retry_after == seconds


def test_too_large_is_told_apart(log: FakeLog) -> None:
    with sink_to(log, lambda path, answer: (413, PROBLEM, cbor.encode({-1: "Too large"}))) as sink:
        with pytest.raises(TooLarge):
            sink.send([statement()])
        with pytest.raises(TooLarge):
            sink.send([statement()] * 1001)


GOOD = cbor.encode({"checkpoint": b"", "results": [{"status": 201, "index": 1}]})


@pytest.mark.parametrize(
    "answer",
    [
        (200, CBOR, b""),
        (200, CBOR, GOOD[:-1]),
        (200, CBOR, GOOD + b"\x00"),
        (200, CBOR, b"\x9f\xff"),
        (200, CBOR, cbor.encode([])),
        (200, CBOR, b"\x81" * 100_000),
        (200, CBOR, bytes(10_000_000)),
        (200, {"Content-Type": "text/html"}, GOOD),
        (200, {**CBOR, "Content-Encoding": "gzip"}, b"\x1f\x8b" + bytes(50)),
        (301, {"Location": "http://127.0.0.1:1/"}, b""),
        (307, {"Location": "http://127.0.0.1:1/", **PROBLEM}, b""),
        (400, PROBLEM, b"\xff"),
        (404, {"Content-Type": "text/html"}, b"<html>"),
        (404, PROBLEM, b""),
        (404, {"Content-Type": "text/html"}, cbor.encode({-1: "x"})),
        (500, PROBLEM, cbor.encode({-1: "Internal error", -2: "\x1b[31mred"})),
        (500, PROBLEM, bytes(100_000)),
        (200, {**CBOR, "Content-Length": "1000000"}, GOOD),
        None,
    ],
)
def test_whatever_is_no_answer_means_that_nothing_is_known(log: FakeLog, answer: Answer | None) -> None:
    with sink_to(log, lambda path, _: answer) as sink:
        sink._timeout = 0.2
        sink._pool.connection_pool_kw["timeout"] = 0.2
        for ask in (lambda: sink.send([statement()]), lambda: sink.head(ISSUER, PUMP)):
            with pytest.raises(Unreachable) as refusal:
                ask()
            assert "\x1b" not in str(refusal.value)
            assert len(str(refusal.value)) < 1000


def test_an_answer_without_end_is_not_read_to_its_end(log: FakeLog) -> None:
    with sink_to(log, lambda path, _: (200, CBOR, bytes(10_000_000))) as sink:
        with pytest.raises(Unreachable, match="more than 1024 bytes"):
            sink.head(ISSUER, PUMP)
        with pytest.raises(Unreachable, match="more than 74752 bytes"):
            sink.send([statement()])


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        sink = HttpSink(f"http://127.0.0.1:{free.getsockname()[1]}", timeout=1)
        with pytest.raises(Unreachable):
            sink.head(ISSUER, PUMP)


def test_a_trickling_answer_is_cut_off() -> None:
    """Each byte comes in time; the answer as a whole does not."""
    ticks = iter(range(0, 10_000, 3))
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/cbor\r\nContent-Length: 500\r\n\r\n")
                try:
                    while not done.wait(0.001):
                        client.sendall(b"\x00")
                except OSError:
                    pass

        thread = threading.Thread(target=trickle)
        thread.start()
        sink = HttpSink(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=5, monotonic=lambda: float(next(ticks)))
        try:
            with pytest.raises(Unreachable, match="longer than 10 s"):
                sink.head(ISSUER, PUMP)
        finally:
            done.set()
            thread.join()
            sink.close()


@pytest.mark.parametrize("url", ["ftp://x", "twin.example", "http://", "http://x/?q", "http://x/#f", ""])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigError):
        HttpSink(url)


def test_a_certificate_that_nobody_vouches_for_is_refused(log: FakeLog) -> None:
    """Plain HTTP behind https:// stands for any server that cannot prove who it is."""
    with serve_log(log) as url:
        sink = HttpSink(url.replace("http:", "https:"), timeout=2)
        with pytest.raises(Unreachable):
            sink.head(ISSUER, PUMP)
        sink.close()


# --- the readers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        {},
        {"status": 201},
        {"status": "201", "index": 1},
        {"status": True, "index": 1},
        {"status": 201.5, "index": 1},
        {"status": 302, "code": "gap", "detail": ""},
        {"status": 201, "index": -1},
        {"status": 201, "index": True},
        {"status": 201, "index": 1 << 63},
        {"status": 201, "index": 1, "receipt": "text"},
        {"status": 201, "index": 1, "receipt": bytes(9000)},
        {"status": 201, "index": 1, "surprise": 1},
        {"status": 409, "index": 1},
        {"status": 409, "code": "GAP", "detail": ""},
        {"status": 409, "code": 1, "detail": ""},
        {"status": 409, "code": "gap", "detail": b""},
        {"status": 409, "code": "gap", "detail": "", "expected": -1},
        {"status": 700, "code": "gap", "detail": ""},
    ],
)
def test_results_are_read_strictly(result: object) -> None:
    with pytest.raises(Malformed):
        parse_results(cbor.encode({"checkpoint": b"", "results": [result]}), 1)


@pytest.mark.parametrize(
    "answer", [{}, {"results": []}, {"checkpoint": "", "results": []}, {"checkpoint": b"", "results": {}}, 7]
)
def test_answers_are_read_strictly(answer: object) -> None:
    with pytest.raises(Malformed):
        parse_results(cbor.encode(answer), 0)
    with pytest.raises(Malformed):
        parse_results(cbor.encode({"checkpoint": b"", "results": []}), 1)


@pytest.mark.parametrize(
    "head",
    [{}, {"seq": 1}, {"seq": -1, "digest": bytes(32)}, {"seq": 1, "digest": bytes(31)}, {"seq": 1, "digest": ""}],
)
def test_heads_are_read_strictly(head: object) -> None:
    with pytest.raises(Malformed):
        parse_head(cbor.encode(head))


def test_refusals_in_the_logs_own_trouble_are_retried() -> None:
    results = [
        {"status": 500, "code": "internal", "detail": "bug\n\x07"},
        {"status": 403, "code": "revoked", "detail": ""},
    ]
    assert parse_results(cbor.encode({"checkpoint": b"", "results": results}), 2) == [
        Refused("internal", "bug  ", retry=True),
        Refused("revoked", "", retry=False),
    ]


def test_requests_carry_what_the_node_asks_for() -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            client, _ = server.accept()
            with client:
                heard.append(client.recv(1 << 20))
                body = GOOD
                client.sendall(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/cbor\r\ncontent-length: %d\r\n\r\n" % len(body)
                    + body
                )

        thread = threading.Thread(target=listen)
        thread.start()
        sink = HttpSink(f"http://127.0.0.1:{server.getsockname()[1]}/base/", timeout=5)
        assert sink.send([b"\x01"]) == [Delivered(1, None)]
        thread.join()
        sink.close()
    request = heard[0].decode("latin-1").lower()
    assert request.startswith("post /base/entries/batch?receipts=1 http/1.1\r\n")
    assert "content-type: application/cbor-seq\r\n" in request
    assert "accept-encoding: identity\r\n" in request


def test_the_readings_survive_the_trip(log: FakeLog) -> None:
    with sink_to(log) as sink:
        sink.send([statement()])
    assert readings_of(log.statements()[0]) == [Reading("a", 0, None, float(NOW))]

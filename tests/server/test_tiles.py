"""A mirror that knows C2SP tlog-tiles alone, and what the node serves it: no code of ours but the signature check."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.builders import DEVICE
from tests.server.process import Served, make_folder, serve
from twinproof.twin.grants import Capability

IMMUTABLE = "public, max-age=31536000, immutable"


class Mirror:
    """Reads a log through `/checkpoint` and `/tile/`, and builds its tree again."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.requests = 0

    def checkpoint(self) -> tuple[int, bytes]:
        """Size and root, of a note whose signatures hold."""
        note = self.served.client.get("/checkpoint")
        self.served.policy.check(note.body)
        origin, size, root = note.body.decode().split("\n")[:3]
        assert origin == "twin.example/log0"
        return int(size), base64.b64decode(root)

    def fetch(self, level: str, n: int, width: int) -> bytes:
        """One tile, of just this width."""
        path = self.path(level, n, width)
        answer = self.served.client.get(path)
        assert answer.status == 200, (path, answer)
        assert answer.headers["content-type"] == "application/octet-stream", path
        assert answer.headers["cache-control"] == IMMUTABLE, path
        self.requests += 1
        return answer.body

    @staticmethod
    def path(level: str, n: int, width: int) -> str:
        groups: list[str] = []
        while True:
            groups.insert(0, f"{n % 1000:03}")
            n //= 1000
            if not n:
                break
        number = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
        return f"/tile/{level}/{number}" + ("" if width == 256 else f".p/{width}")

    @staticmethod
    def widths(count: int) -> Iterator[tuple[int, int]]:
        """(number, width) of the tiles that hold `count` things."""
        yield from ((n, 256) for n in range(count // 256))
        if count % 256:
            yield count // 256, count % 256

    def entries(self, size: int) -> list[bytes]:
        found = []
        for n, width in self.widths(size):
            data = self.fetch("entries", n, width)
            for _ in range(width):
                length = int.from_bytes(data[:2], "big")
                found.append(data[2 : 2 + length])
                assert len(found[-1]) == length
                data = data[2 + length :]
            assert data == b""
        return found

    def hashes(self, level: int, size: int) -> list[bytes]:
        """All hashes of a tile level."""
        joined = b"".join(self.fetch(str(level), n, width) for n, width in self.widths(size >> 8 * level))
        return [joined[at : at + 32] for at in range(0, len(joined), 32)]


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_hash(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(tree_hash(leaves[:split]), tree_hash(leaves[split:]))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A log that grows through 256 and 512 entries while the tests look at it."""
    running = serve(make_folder(tmp_path_factory.mktemp("tiles") / "node", rate=0))
    running.script.grant(DEVICE, {Capability.RECORD})
    running.grow()
    try:
        yield running
    finally:
        running.client.close()
        assert running.node.stop() == 0


def grow_to(served: Served, size: int) -> None:
    while len(served.script) < size:
        served.script.record(DEVICE, len(served.script) / 7)
    served.grow()


@pytest.mark.parametrize("size", [3, 255, 256, 257, 511, 512, 700, 1024])
def test_a_mirror_gets_the_same_tree(served: Served, size: int) -> None:
    grow_to(served, size)
    size = len(served.script)
    mirror = Mirror(served)
    found, root = mirror.checkpoint()
    assert found == size
    entries = mirror.entries(size)
    assert entries == served.script.raws
    leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    assert tree_hash(leaves) == root
    assert mirror.hashes(0, size) == leaves
    # A hash one level up is the root of one full tile below.
    above = mirror.hashes(1, size)
    assert above == [tree_hash(leaves[at : at + 256]) for at in range(0, size - size % 256, 256)]
    tiles = len(list(mirror.widths(size)))
    assert mirror.requests == 2 * tiles + bool(above)


def test_every_narrower_width_is_still_there(served: Served) -> None:
    """A client holds an older checkpoint: its partial tiles are cut from what there is now."""
    grow_to(served, 700)
    mirror = Mirror(served)
    size, _ = mirror.checkpoint()
    full = mirror.fetch("0", 0, 256)
    bundle = mirror.fetch("entries", 0, 256)
    for width in (1, 2, 100, 255):
        assert mirror.fetch("0", 0, width) == full[: 32 * width]
        assert bundle.startswith(mirror.fetch("entries", 0, width))
    edge = mirror.fetch("0", size // 256, size % 256) if size % 256 else b""
    if edge:
        assert mirror.fetch("0", size // 256, 1) == edge[:32]


def test_nothing_beyond_the_tree_is_served(served: Served) -> None:
    size, _ = Mirror(served).checkpoint()
    n, width = divmod(size, 256)
    beyond = [
        Mirror.path("0", n, width + 1),
        Mirror.path("0", n, 256),
        Mirror.path("0", n + 1, 1),
        Mirror.path("0", n + 1, 256),
        Mirror.path("entries", n, width + 1),
        Mirror.path("entries", n + 1, 256),
        Mirror.path("1", 0, 256),
        Mirror.path("1", 0, (size >> 8) + 1),
        Mirror.path("1", 1, 1),
        Mirror.path("2", 0, 1),
        Mirror.path("7", 0, 1),
        Mirror.path("8", 0, 1),
        Mirror.path("63", 0, 256),
        Mirror.path("0", 10**18, 256),
        Mirror.path("entries", 10**20, 1),
    ]
    for path in beyond:
        answer = served.client.get(path)
        assert (answer.status, answer.problem[0]) == (404, "Not Found"), path
        assert "cache-control" not in answer.headers, path


@pytest.mark.parametrize(
    "path",
    [
        "0",
        "0/0",
        "0/00",
        "0/0000",
        "0/x000/000",
        "0/000.p/0",
        "0/000.p/01",
        "0/000.p/256",
        "0/000.p/999",
        "0/000.p/",
        "0/000.p",
        "0/000/",
        "0/000.p/1/",
        "00/000",
        "64/000",
        "-1/000",
        "+0/000",
        "0/%20000",
        "0/000%0a",
        "0/\u0660\u0660\u0660",
        "ENTRIES/000",
        "entry/000",
        "data/000",
        "0/" + "x000/" * 7 + "001",
        "../checkpoint",
        "%2e%2e/checkpoint",
        "",
    ],
)
def test_paths_that_name_no_tile(served: Served, path: str) -> None:
    answer = served.client.get(f"/tile/{quote(path, safe='/%+')}")
    assert (answer.status, answer.problem[0]) == (404, "Not Found")


def test_the_checkpoint_is_for_a_moment_only(served: Served) -> None:
    answer = served.client.get("/checkpoint")
    assert answer.headers["cache-control"] == "public, max-age=1"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"

"""verify with anchors: which blocks are believed, and how the bounds are shown."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.builders import START
from tests.cli.rig import TWIN, Cli
from tests.verify.anchorkit import anchor, block_at, recorded, with_anchors
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.node import ANCHORS, read_node
from twinproof.proof import rlp
from twinproof.testing.anchors import CONTRACT, DEFAULT_CHAIN, LOG_ID, AnchorBlock

LOG = recorded()
BLOCKS = [block_at(LOG, size, START + 20 * at, number=100 + at) for at, size in ((1, 4), (2, 10))]
HASHES = [f"0x{block.hash.hex()}" for block in BLOCKS]
PLACE = f"{DEFAULT_CHAIN}:0x{CONTRACT.hex()}"


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anchored")
    anchors = [anchor(LOG, block.evidence(0), size) for block, size in zip(BLOCKS, (4, 10), strict=True)]
    (folder / "engine.twinproof").write_bytes(with_anchors(LOG, anchors))
    (folder / "policy.txt").write_text("".join(f"log {key.verifier}\n" for key in LOG.keys) + "quorum none\n")
    (folder / "entry.cose").write_bytes(LOG.transparent(3))
    return folder


def words(evidence: Path, *more: object, file: str = "engine.twinproof") -> tuple[object, ...]:
    return ("verify", evidence / file, "--policy", evidence / "policy.txt", *more)


def bounds(found: Any) -> list[int | None]:
    return [None if entry["anchored"] is None else entry["anchored"] - START for entry in found["entries"]]


def test_without_trust_the_anchors_are_only_told(cli: Cli, evidence: Path) -> None:
    found = cli.json(*words(evidence))
    assert bounds(found) == [None] * 8
    assert [(one["size"], one["trusted"]) for one in found["anchors"]] == [(4, False), (10, False)]
    assert any("of blocks that you do not trust" in remark for remark in found["remarks"])
    text = cli(*words(evidence)).stdout
    assert f"  2 on chain {DEFAULT_CHAIN} bound nothing: see the remarks" in text
    assert "anchored on a chain" not in text


def test_blocks_are_trusted_by_hash(cli: Cli, evidence: Path, tmp_path: Path) -> None:
    assert bounds(cli.json(*words(evidence, "--block", HASHES[1]))) == [40] * 8
    assert bounds(cli.json(*words(evidence, "--block", HASHES[0]))) == [20] * 2 + [None] * 6
    both = cli.json(*words(evidence, "--block", HASHES[0], "--block", HASHES[1].upper().replace("X", "x")))
    assert bounds(both) == [20] * 2 + [40] * 6
    assert {entry["latest"] - START for entry in both["entries"]} == {20, 40}
    assert both["remarks"] == []
    (tmp_path / "blocks").write_text(f"# of my own node\n\n{HASHES[0]}  # 101\n{HASHES[1]}\n")
    assert bounds(cli.json(*words(evidence, "--blocks", tmp_path / "blocks"))) == bounds(both)


def test_what_an_anchor_is_shown_as(cli: Cli, evidence: Path) -> None:
    shown = cli.json(*words(evidence, "--block", HASHES[0]))["anchors"][0]
    assert (shown["chain"], shown["block"], shown["block_hash"]) == (DEFAULT_CHAIN, 101, HASHES[0])
    assert (shown["contract"], shown["log_id"]) == (f"0x{CONTRACT.hex()}", f"0x{LOG_ID.hex()}")
    assert (shown["time"], shown["root"], shown["refusal"]) == (START + 20, LOG.head(4).root.hex(), None)
    text = cli(*words(evidence, "--block", HASHES[0], "--entries")).stdout
    assert f"  4 entries by 2023-11-14T22:13:40Z, block 101 of chain {DEFAULT_CHAIN}" in text
    assert f"contract 0x{CONTRACT.hex()}, log 0x{LOG_ID.hex()}" in text
    assert "anchored on a chain       by 2023-11-14T22:13:40Z, but for 6 statements" in text
    assert text.count("           anchored by 2023-11-14T22:13:40Z") == 2
    assert "VERIFIED: 8 statements" in text


@pytest.mark.parametrize(
    ("expected", "counts"),
    [
        (PLACE, True),
        (f"{PLACE}:0x{LOG_ID.hex()}", True),
        (f"1:0x{CONTRACT.hex()}", False),
        (f"{PLACE}:0x{'11' * 32}", False),
        (f"{DEFAULT_CHAIN}:0x{'22' * 20}", False),
    ],
    ids=["contract", "contract and log", "another chain", "another log", "another contract"],
)
def test_the_contract_can_be_named(cli: Cli, evidence: Path, expected: str, counts: bool) -> None:
    given = ("--block", HASHES[1], "--anchor-contract", expected)
    found = cli.json(*words(evidence, *given))
    assert bounds(found) == [40 if counts else None] * 8
    assert any("do not expect" in remark for remark in found["remarks"]) is not counts


@pytest.mark.parametrize(
    "given",
    [
        ("--block", "00" * 32),
        ("--block", "0x00"),
        ("--block", "0x" + "0g" * 32),
        ("--anchor-contract", "0x" + "11" * 20),
        ("--anchor-contract", "01:0x" + "11" * 20),
        ("--anchor-contract", f"{1 << 63}:0x" + "11" * 20),
        ("--anchor-contract", "1:0x" + "11" * 20 + ":0x11"),
        ("--chain-id", "1"),
        ("--confirmations", "1"),
        ("--rpc", "http://127.0.0.1:1", "--chain-id", "+1"),
        ("--rpc", "http://127.0.0.1:1", "--chain-id", "0"),
        ("--rpc", "http://127.0.0.1:1", "--confirmations", "-1"),
        ("--rpc", "ftp://127.0.0.1"),
        ("--blocks", "missing"),
    ],
    ids=" ".join,
)
def test_options_that_say_nothing(cli: Cli, evidence: Path, given: tuple[str, ...]) -> None:
    cli(*words(evidence, *given), code=2)


def test_a_file_of_blocks_is_read_strictly(cli: Cli, evidence: Path, tmp_path: Path) -> None:
    for content in (b"0x00\n", HASHES[0].encode() + b" 0x11\n", b"\xff\n"):
        (tmp_path / "blocks").write_bytes(content)
        assert cli.error(*words(evidence, "--blocks", tmp_path / "blocks"), code=2)["code"] == "malformed"


@pytest.mark.parametrize("option", ["--block", "--anchor-contract", "--rpc"])
def test_single_statements_carry_no_anchors(cli: Cli, evidence: Path, option: str) -> None:
    value = {"--block": HASHES[0], "--anchor-contract": PLACE, "--rpc": "http://127.0.0.1:1"}[option]
    result = cli(*words(evidence, option, value, file="entry.cose"), code=2)
    assert f"{option} is for a history bundle" in result.stderr


def test_a_nodes_bundle_carries_its_anchors(cli: Cli, node: Path, tmp_path: Path) -> None:
    """From the node's store into the file, and out of it again."""
    block = AnchorBlock(time=1_800_000_000, chain_id=1)
    with read_node(node) as reader:
        root = reader.reader.root(5)
    AnchorStore(node / ANCHORS).add(block.evidence(block.anchor(size=5, root=root)))
    cli("prove", TWIN, "-o", tmp_path / "pump.twinproof", "--folder", node)
    given = ("verify", tmp_path / "pump.twinproof", "--policy", node / "policy.txt", "--block", f"0x{block.hash.hex()}")
    found = cli.json(*given)
    assert [entry["anchored"] for entry in found["entries"]] == [1_800_000_000] * 3
    assert [(one["size"], one["chain"], one["trusted"]) for one in found["anchors"]] == [(5, 1, True)]


# --- a chain's node -----------------------------------------------------------------------------

NAMES = re.findall(
    r"\w+",
    """parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number gasLimit gasUsed
    timestamp extraData mixHash nonce baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas parentBeaconBlockRoot
    requestsHash""",
)
QUANTITIES = {7, 8, 9, 10, 11, 15, 17, 18}


def told(block: AnchorBlock) -> dict[str, Any]:
    """A block as eth_getBlockByNumber answers."""
    items: Any = rlp.decode(block.header, "header")
    said: dict[str, Any] = {
        name: hex(int.from_bytes(item, "big")) if at in QUANTITIES else f"0x{item.hex()}"
        for at, (name, item) in enumerate(zip(NAMES, items, strict=True))
    }
    return {**said, "hash": f"0x{block.hash.hex()}", "transactions": []}


class Node:
    """A node with one chain: what it is asked, and what it has."""

    def __init__(self) -> None:
        self.blocks = {block.number: block for block in BLOCKS}
        self.asked: list[str] = []
        self.chain_id = DEFAULT_CHAIN
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                calls = body if isinstance(body, list) else [body]
                answers = [{"jsonrpc": "2.0", "id": call["id"], "result": node.answer(call)} for call in calls]
                data = json.dumps(answers if isinstance(body, list) else answers[0]).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def answer(self, call: dict[str, Any]) -> Any:
        self.asked.append(call["method"])
        if call["method"] == "eth_chainId":
            return hex(self.chain_id)
        which = call["params"][0]
        number = max(self.blocks) if which == "latest" else int(which, 16)
        return told(self.blocks[number]) if number in self.blocks else None


@pytest.fixture
def chain_node() -> Iterator[Node]:
    node = Node()
    yield node
    node.server.shutdown()
    node.thread.join()
    node.server.server_close()


def test_a_node_is_asked(cli: Cli, evidence: Path, chain_node: Node) -> None:
    found = cli.json(*words(evidence, "--rpc", chain_node.url))
    assert bounds(found) == [20] * 2 + [40] * 6
    assert found["remarks"] == []
    assert set(chain_node.asked) == {"eth_chainId", "eth_getBlockByNumber"}
    assert bounds(cli.json(*words(evidence, "--rpc", chain_node.url, "--chain-id", DEFAULT_CHAIN))) == bounds(found)


def test_a_node_with_other_blocks(cli: Cli, evidence: Path, chain_node: Node) -> None:
    chain_node.blocks[102] = block_at(LOG, 10, START + 41, number=102)
    assert bounds(cli.json(*words(evidence, "--rpc", chain_node.url))) == [20] * 2 + [None] * 6
    del chain_node.blocks[101]
    assert bounds(cli.json(*words(evidence, "--rpc", chain_node.url))) == [None] * 8
    assert bounds(cli.json(*words(evidence, "--rpc", chain_node.url, "--block", HASHES[1]))) == [40] * 8


def test_confirmations_are_counted(cli: Cli, evidence: Path, chain_node: Node) -> None:
    for wanted, expected in ((0, [20, 40]), (1, [20, None]), (2, [None, None])):
        found = cli.json(*words(evidence, "--rpc", chain_node.url, "--confirmations", wanted))
        assert [bounds(found)[0], bounds(found)[7]] == expected


def test_a_node_of_another_chain(cli: Cli, evidence: Path, chain_node: Node) -> None:
    chain_node.chain_id = 5
    assert bounds(cli.json(*words(evidence, "--rpc", chain_node.url))) == [None] * 8
    pinned = words(evidence, "--rpc", chain_node.url, "--chain-id", DEFAULT_CHAIN)
    assert cli.error(*pinned, code=1)["code"] == "wrong-chain"


def test_a_node_that_lies_about_a_hash(cli: Cli, evidence: Path, chain_node: Node, monkeypatch: Any) -> None:
    honest = chain_node.answer

    def lie(call: dict[str, Any]) -> Any:
        answer = honest(call)
        return {**answer, "gasUsed": "0x1"} if isinstance(answer, dict) else answer

    monkeypatch.setattr(chain_node, "answer", lie)
    assert cli.error(*words(evidence, "--rpc", chain_node.url), code=1)["code"] == "chain-lied"


def test_without_the_chain_extra(cli: Cli, evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("twinproof.chain.rpc")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httpx", None)
    refusal = cli.error(*words(evidence, "--rpc", "http://127.0.0.1:1"), code=2)
    assert "pip install 'twinproof[chain]'" in refusal["message"]
    assert refusal["code"] == "config"


def test_a_node_that_is_down(cli: Cli, evidence: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        refusal = cli.error(*words(evidence, "--rpc", f"http://127.0.0.1:{taken.getsockname()[1]}"), code=3)
    assert refusal["code"] == "chain-unreachable"

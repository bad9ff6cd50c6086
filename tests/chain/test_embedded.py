"""The embedded chain from outside: what is mined, what is refused, what is found again."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import rlp as foreign_rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

from tests.chain.embedded_rig import (
    ADDRESSES,
    BURN,
    CHAIN_ID,
    DEEP,
    DIE,
    FAIL,
    FUNDS,
    GENESIS,
    GWEI,
    P256,
    READ,
    REFUSE,
    SHA_LOOP,
    STORE,
    WORLD,
    Rig,
    deploying,
    signed,
    words,
)
from twinproof.chain.embedded import EmbeddedChain, Genesis
from twinproof.chain.encoding import encode_receipt
from twinproof.chain.model import Chain, Request
from twinproof.errors import (
    BadSignature,
    ChainError,
    ConfigError,
    Malformed,
    NonceTaken,
    NotFound,
    OutOfFunds,
    Reverted,
    TooLarge,
    TransactionRefused,
    TwinproofError,
    Underpriced,
    WrongChain,
)
from twinproof.proof.keys import P256_ORDER, PrivateKey, verify_p256_digest

SOMEBODY = b"\x42" * 20
ES256 = -7


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_it_is_a_chain(rig: Rig) -> None:
    chain: Chain = rig.chain
    assert chain.chain_id == CHAIN_ID
    head = chain.head()
    assert (head.number, head.transactions, head.parent) == (0, (), bytes(32))
    assert chain.block(0) == chain.block(head.hash) == head
    assert chain.block(1) is None
    assert chain.block(b"\x01" * 32) is None


def test_a_transfer_moves_value_and_fee(rig: Rig) -> None:
    before = rig.chain.fees()
    receipt = rig.send(to=SOMEBODY, value=5, maxPriorityFeePerGas=3)
    assert receipt.succeeded
    assert (receipt.gas_used, receipt.gas_price, receipt.number, receipt.index) == (21_000, before.base + 3, 1, 0)
    assert rig.chain.balance(SOMEBODY) == 5
    assert rig.chain.balance(ADDRESSES[0]) == FUNDS - 5 - 21_000 * (before.base + 3)
    assert rig.chain.balance(bytes(20)) == 21_000 * 3  # the tip; the base fee is burnt
    assert rig.chain.nonce(ADDRESSES[0]) == rig.chain.nonce(ADDRESSES[0], pending=True) == 1
    assert rig.chain.balance(SOMEBODY, block=0) == 0
    assert rig.chain.nonce(ADDRESSES[0], block=0) == 0


def test_time_is_the_clocks_but_never_stands_still(rig: Rig) -> None:
    start = int(rig.clock.time)
    times = []
    for step in (0, 0, 100, -1000, 0):
        rig.clock.advance(step)
        rig.send(to=SOMEBODY)
        times.append(rig.chain.head().time - start)
    assert times == [0, 1, 100, 101, 102]


def test_contracts_store_and_log(rig: Rig) -> None:
    address = rig.deploy(STORE)
    assert rig.chain.code(address) == STORE
    receipt = rig.send(to=address, data=words(7, 99))
    (log,) = receipt.logs
    assert (log.address, log.topics, log.data) == (address, (words(7),), words(99))
    assert (log.block, log.transaction, log.position) == (receipt.block, receipt.transaction, 0)
    assert rig.slots(address, [7, 8]) == [99, 0]
    assert rig.slots(SOMEBODY, [0]) == [0]
    assert rig.chain.storage(address, 7, block=receipt.number - 1) == bytes(32)


def test_headers_and_roots_are_ethereums(rig: Rig) -> None:
    address = rig.deploy(STORE)
    raws = [signed(0, 1 + n, to=address, data=words(n, n)) for n in range(3)]
    raws += [signed(1, n, to=SOMEBODY, value=n) for n in range(140)]
    hashes = rig.chain.send_many(raws)
    head = rig.chain.head()
    assert head.transactions == tuple(hashes)
    receipts = rig.chain.receipts_of(head.hash)
    assert [receipt.cumulative_gas_used for receipt in receipts][-1] == head.gas_used
    assert [log.position for receipt in receipts for log in receipt.logs] == [0, 1, 2]
    for items, root in (
        ([encode_receipt(receipt) for receipt in receipts], head.receipts_root),
        ([rig.chain.transaction(digest) or b"" for digest in hashes], head.transactions_root),
    ):
        tree = HexaryTrie({})
        for number, item in enumerate(items):
            tree[foreign_rlp.encode(number)] = item
        assert tree.root_hash == root
    raw = rig.chain.raw_header(head.hash)
    assert raw is not None
    assert keccak(raw) == head.hash
    fields = foreign_rlp.decode(raw)
    assert len(fields) == 21
    assert [fields[n] for n in (0, 3, 4, 5)] == [
        head.parent,
        head.state_root,
        head.transactions_root,
        head.receipts_root,
    ]


def test_the_engine_agrees_with_py_evms_own_headers(rig: Rig) -> None:
    from eth.vm.forks.prague.blocks import PragueBlockHeader

    rig.send(to=rig.deploy(STORE), data=words(1, 2))
    head = rig.chain.head()
    header = foreign_rlp.decode(rig.chain.raw_header(head.hash), PragueBlockHeader)
    assert header.hash == head.hash
    assert (header.timestamp, header.base_fee_per_gas, header.gas_used) == (head.time, head.base_fee, head.gas_used)


def test_failures_are_mined_and_paid(rig: Rig) -> None:
    for code, gas_used in ((REFUSE, None), (BURN, 100_000), (FAIL, 100_000)):
        address = rig.deploy(code)
        before = rig.chain.balance(ADDRESSES[0])
        receipt = rig.send(to=address, data=b"why", value=9, gas=100_000)
        assert not receipt.succeeded
        assert gas_used in (None, receipt.gas_used)
        assert rig.chain.balance(ADDRESSES[0]) == before - receipt.gas_used * receipt.gas_price
        assert rig.chain.balance(address) == 0


def test_calls_answer_and_keep_nothing(rig: Rig) -> None:
    store = rig.deploy(STORE)
    read = rig.deploy(READ)
    before = rig.chain.head()
    rig.chain.call(store, words(1, 2), sender=ADDRESSES[1], value=10**18)
    assert rig.chain.call(read, words(0)) == words(0)
    assert rig.chain.call(SOMEBODY, b"") == b""
    assert rig.chain.head() == before
    assert rig.slots(store, [1]) == [0]


def test_calls_see_the_next_block_or_the_one_asked_for(rig: Rig) -> None:
    from tests.chain.embedded_rig import asm

    seen = rig.deploy(asm("TIMESTAMP PUSH0 MSTORE NUMBER 0x20 MSTORE 0x40 PUSH0 RETURN"))
    head = rig.chain.head()
    rig.clock.advance(3600)
    assert rig.chain.call(seen, b"") == words(int(rig.clock.time), head.number + 1)
    assert rig.chain.call(seen, b"", block=head.number) == words(head.time, head.number)


def test_reverts_carry_their_data(rig: Rig) -> None:
    refuse = rig.deploy(REFUSE)
    with pytest.raises(Reverted) as caught:
        rig.chain.call(refuse, b"\x01\x02\x03\x04because")
    assert caught.value.data == b"\x01\x02\x03\x04because"
    with pytest.raises(Reverted):
        rig.chain.estimate_gas(Request(refuse, b"", sender=ADDRESSES[0]))
    with pytest.raises(ChainError, match="failed"):
        rig.chain.call(rig.deploy(FAIL), b"")
    with pytest.raises(OutOfFunds):
        rig.chain.call(refuse, b"", sender=SOMEBODY, value=1)


@pytest.mark.parametrize("data", [b"", bytes(3000), b"\xff" * 3000], ids=["none", "zeros", "ones"])
def test_an_estimate_is_just_enough_for_a_transfer(rig: Rig, data: bytes) -> None:
    gas = rig.chain.estimate_gas(Request(SOMEBODY, data, sender=ADDRESSES[0]))
    assert rig.send(to=SOMEBODY, data=data, gas=gas).succeeded
    with pytest.raises(TransactionRefused, match="at least"):
        rig.send(to=SOMEBODY, data=data, gas=gas - 1)


@pytest.mark.parametrize("name", ["store", "deploy", "p256", "loop", "clear"])
def test_an_estimate_is_enough_and_hardly_more(rig: Rig, name: str) -> None:
    store = rig.deploy(STORE)
    rig.send(to=store, data=words(1, 1))
    to, data = {
        "store": (store, words(2, 2)),
        "deploy": (None, deploying(STORE)),
        "p256": (rig.deploy(P256), bytes(160)),
        "loop": (rig.deploy(SHA_LOOP), words(200)),
        "clear": (store, words(1, 0)),  # refunds come after the fact: the limit must hold what is used before
    }[name]
    gas = rig.chain.estimate_gas(Request(to, data, sender=ADDRESSES[0]))
    token = rig.chain.snapshot()
    assert rig.send(to=to, data=data, gas=gas).succeeded
    rig.chain.restore(token)
    assert not rig.send(to=to, data=data, gas=gas - gas // 60 - 1).succeeded


def test_the_p256_precompile() -> None:
    rig = Rig()
    key = PrivateKey(ES256, b"\x07" * 32)
    message = b"a digest of a statement"
    from hashlib import sha256

    digest = sha256(message).digest()
    signature = key.sign(message)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    x, y = int.from_bytes(key.public.raw[:32], "big"), int.from_bytes(key.public.raw[32:], "big")
    address = rig.deploy(P256)
    cases = {
        "valid": (digest + words(r, s, x, y), True),
        "high s": (digest + words(r, P256_ORDER - s, x, y), True),
        "other digest": (bytes(32) + words(r, s, x, y), False),
        "no point": (digest + words(r, s, x, y ^ 1), False),
        "infinity": (digest + words(r, s, 0, 0), False),
        "r zero": (digest + words(0, s, x, y), False),
        "s the order": (digest + words(r, P256_ORDER, x, y), False),
        "short": (digest + words(r, s, x, y)[:-1], False),
        "long": (digest + words(r, s, x, y) + b"\0", False),
        "nothing": (b"", False),
    }
    for name, (data, valid) in cases.items():
        assert rig.send(to=address, data=data).succeeded
        # The call itself always succeeds; an invalid signature answers nothing.
        assert rig.slots(address, [0, 1, 2]) == [32 * valid, 1, int(valid)], name
    assert verify_p256_digest(digest, r, s, x, y)
    assert not verify_p256_digest(digest[:31], r, s, x, y)
    assert not verify_p256_digest(digest, r, s, 2**256, y)


def test_what_code_sees(rig: Rig) -> None:
    address = rig.deploy(WORLD)
    parent = rig.chain.head()
    receipt = rig.send(to=address, value=3, gas=1_000_000)
    head = rig.chain.head()
    assert rig.slots(address, range(13)) == [
        0, head.time, head.number, 0, head.gas_limit, CHAIN_ID, head.base_fee, int.from_bytes(parent.hash, "big"),
        receipt.gas_price, int.from_bytes(ADDRESSES[0], "big"), 3, 3, 5,
    ]  # fmt: skip


def test_deep_recursion_ends_by_itself_in_any_thread(rig: Rig) -> None:
    address = rig.deploy(DEEP)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(rig.send(to=address, gas=29_000_000).succeeded))
    thread.start()
    thread.join()
    assert found == [True]
    assert rig.slots(address, [0])[0] > 100


def test_self_destruction_moves_the_balance_only(rig: Rig) -> None:
    address = rig.deploy(DIE)
    rig.send(to=address, value=10**18)
    assert rig.chain.code(address) == DIE  # EIP-6780
    assert rig.chain.balance(address) == 0


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"chainId": 1}, WrongChain, "for chain 1"),
        ({"chainId": None, "gasPrice": 2 * GWEI}, WrongChain, "no chain id"),
        ({"maxFeePerGas": 1}, Underpriced, "asks for"),
        ({"gasPrice": 1}, Underpriced, "asks for"),
        ({"value": FUNDS}, OutOfFunds, "wei"),
        ({"gas": 20_999}, TransactionRefused, "at least 21000"),
        ({"gas": 30_000_001}, TransactionRefused, "a block has"),
        ({"data": b"\x01" * 1000, "gas": 21_000 + 16 * 1000}, TransactionRefused, "at least 61000"),
        ({"to": None, "data": bytes(49_153), "gas": 20_000_000}, TransactionRefused, "EIP-3860"),
        ({"data": bytes(131_072), "gas": 20_000_000}, TooLarge, "131072"),
    ],
    ids=["chain", "no-chain", "fee", "price", "funds", "intrinsic", "limit", "floor", "init-code", "size"],
)
def test_refusals(rig: Rig, fields: dict[str, object], error: type[TwinproofError], text: str) -> None:
    before = rig.chain.head()
    with pytest.raises(error, match=text):
        rig.chain.send(signed(0, 0, **{"to": SOMEBODY, **fields}))
    assert rig.chain.head() == before


def test_nonces_are_exact(rig: Rig) -> None:
    first = signed(0, 0, to=SOMEBODY)
    with pytest.raises(TransactionRefused, match="next is 0"):
        rig.chain.send(signed(0, 1, to=SOMEBODY))
    digest = rig.chain.send(first)
    with pytest.raises(NonceTaken, match="next is 1"):
        rig.chain.send(signed(0, 0, to=SOMEBODY, value=1))
    assert rig.chain.send(first) == digest  # the same again is no error
    assert rig.chain.head().number == 1


def test_foreign_types_and_signatures_are_refused(rig: Rig) -> None:
    for kind in (0, 3, 4, 5, 0x7F):
        with pytest.raises(TransactionRefused, match=f"type {kind}"):
            rig.chain.send(bytes((kind,)) + b"\xc0")
    fields = foreign_rlp.decode(signed(0, 0, to=SOMEBODY)[1:])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    for place, value in ((-1, order - int.from_bytes(fields[-1], "big")), (-2, 0), (-2, order), (-1, 0)):
        changed = [*fields]
        changed[place] = value.to_bytes(32, "big").lstrip(b"\0")
        with pytest.raises(BadSignature):
            rig.chain.send(b"\x02" + foreign_rlp.encode(changed))
    with pytest.raises(Malformed, match="parity"):
        rig.chain.send(b"\x02" + foreign_rlp.encode([*fields[:-3], b"\x02", *fields[-2:]]))
    with pytest.raises(Malformed, match="maxPriorityFeePerGas"):
        rig.chain.send(b"\x02" + foreign_rlp.encode([*fields[:2], b"\xff" * 8, *fields[3:]]))


def test_all_of_a_batch_or_nothing(rig: Rig) -> None:
    good, bad = signed(0, 0, to=SOMEBODY, value=1), signed(1, 5, to=SOMEBODY)
    with pytest.raises(TransactionRefused):
        rig.chain.send_many([good, bad])
    assert rig.chain.head().number == 0
    full = [signed(n, 0, to=rig.chain.genesis.beneficiary, gas=15_000_001, data=bytes(1)) for n in (1, 2, 3)]
    assert len(rig.chain.send_many(full)) == 3  # what counts is the room that is left, not the sum of the limits
    rig.chain.send(good)
    assert rig.chain.send_many([good, good]) == [keccak(good)] * 2
    assert rig.chain.send_many([]) == []
    assert rig.chain.head().number == 2


def test_the_base_fee_follows_demand() -> None:
    rig = Rig(genesis=Genesis(CHAIN_ID, GENESIS.balances, gas_limit=1_000_000, base_fee=1000))
    raws = [signed(n, 0, to=None, data=FAIL, gas=240_000) for n in range(4)]
    assert rig.chain.fees().base == 875
    rig.chain.send_many(raws)
    head = rig.chain.head()
    assert (head.base_fee, head.gas_used) == (875, 960_000)
    assert rig.chain.fees().base == 875 + 875 * 460_000 // 500_000 // 8
    for _ in range(100):
        rig.chain.mine()
    assert rig.chain.fees().base == 7  # where an eighth is less than a wei


# --- logs ---------------------------------------------------------------------------------------


def test_logs_are_found_by_block_address_and_topic(rig: Rig) -> None:
    one, two = rig.deploy(STORE), rig.deploy(STORE)
    start = rig.chain.head().number + 1
    for number in range(6):
        rig.send(to=(one, two)[number % 2], data=words(number // 2, number))
    end = rig.chain.head().number

    def data(**ask: object) -> list[int]:
        found = rig.chain.logs(**{"first": start, "last": end, **ask})  # type: ignore[arg-type]
        return [int.from_bytes(log.data, "big") for log in found]

    assert data() == [0, 1, 2, 3, 4, 5]
    assert data(addresses=[one]) == [0, 2, 4]
    assert data(addresses=[one, two, SOMEBODY]) == [0, 1, 2, 3, 4, 5]
    assert data(topics=[words(1)]) == [2, 3]
    assert data(topics=[[words(0), words(2)]], addresses=[two]) == [1, 5]
    assert data(topics=[None]) == [0, 1, 2, 3, 4, 5]
    assert data(topics=[None, None]) == []
    assert data(topics=[[]]) == []
    assert data(first=start + 2, last=start + 3) == [2, 3]
    assert data(first=end + 1, last=end + 100) == []


# --- files --------------------------------------------------------------------------------------


def test_a_file_remembers(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    rig = Rig(path)
    receipt = rig.send(to=rig.deploy(STORE), data=words(1, 2))
    head = rig.chain.head()
    rig.chain.close()
    assert path.stat().st_mode & 0o777 == 0o600
    again = Rig(path, genesis=None)
    assert again.chain.genesis == GENESIS
    assert again.chain.head() == head
    assert again.chain.receipt(receipt.transaction) == receipt
    again.send(to=SOMEBODY)
    reader = EmbeddedChain.open(path, read_only=True)
    assert reader.head() == again.chain.head()
    with pytest.raises(ChainError, match="reading only"):
        reader.send(signed(0, 3, to=SOMEBODY))
    with pytest.raises(ChainError, match="memory"):
        again.chain.restore(0)


def test_another_genesis_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with pytest.raises(ConfigError, match="needs a genesis"):
        EmbeddedChain.open(path)
    EmbeddedChain.open(path, genesis=GENESIS).close()
    EmbeddedChain.open(path, genesis=GENESIS).close()
    for other in (
        Genesis(1, GENESIS.balances),
        Genesis(CHAIN_ID),
        Genesis(CHAIN_ID, GENESIS.balances, gas_limit=10**6),
    ):
        with pytest.raises(ConfigError, match="another genesis"):
            EmbeddedChain.open(path, genesis=other)
    with pytest.raises(NotFound):
        EmbeddedChain.open(tmp_path / "absent.db", read_only=True)


def test_genesis_text() -> None:
    assert Genesis.from_json(GENESIS.to_json()) == GENESIS
    for text in ("", "{}", "[1]", GENESIS.to_json().replace("31337", "true"), GENESIS.to_json().replace("0x", "0X"),
                 GENESIS.to_json().replace('"10', '"+10')):  # fmt: skip
        with pytest.raises(Malformed):
            Genesis.from_json(text)
    for wrong in ({"chain_id": 0}, {"gas_limit": 1}, {"balances": {b"short": 1}}, {"balances": {SOMEBODY: -1}}):
        with pytest.raises(Malformed):
            Genesis(**{"chain_id": 5, **wrong})  # type: ignore[arg-type]


def test_restore_forgets(rig: Rig) -> None:
    address = rig.deploy(STORE)
    token, head = rig.chain.snapshot(), rig.chain.head()
    first = rig.send(to=address, data=words(1, 2))
    rig.chain.restore(token)
    assert rig.chain.head() == head
    assert rig.chain.receipt(first.transaction) is None
    assert rig.chain.logs(first=0, last=100) == []
    assert rig.slots(address, [1]) == [0]
    assert rig.send(to=address, data=words(1, 3)).succeeded


def test_reading_imports_no_evm() -> None:
    script = (
        "import sys; from pathlib import Path; import twinproof.chain\n"
        "from twinproof.chain.embedded import EmbeddedChain\n"
        "chain = EmbeddedChain.open(Path(sys.argv[1]), read_only=True)\n"
        "head = chain.head(); chain.balance(bytes(20)); chain.receipts_of(head.hash); chain.logs(first=0, last=9)\n"
        "heavy = {'eth', 'eth_utils', 'rlp', 'trie', 'eth_abi', 'eth_account', 'httpx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder) / "chain.db")
        rig.send(to=rig.deploy(STORE), data=words(1, 2))
        rig.chain.close()
        subprocess.run([sys.executable, "-c", script, str(Path(folder) / "chain.db")], check=True)

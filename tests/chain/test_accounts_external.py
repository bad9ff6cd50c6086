"""A signer elsewhere: what it returns is what was asked for, or is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account as Foreign

from tests.chain.lyingnode import Hang, LyingNode, Refuse
from twinproof.chain.accounts import Account
from twinproof.chain.external_signer import CLEF, WEB3SIGNER, ExternalSigner, Method
from twinproof.chain.hexadecimal import format_data, keccak
from twinproof.chain.rpc_client import RpcClient
from twinproof.chain.signing import Unsigned
from twinproof.errors import BadSignature, ChainUnreachable, Malformed, NotAuthorised

COW = Account(keccak(b"cow"))
BULL = Account(keccak(b"bull"))
WANTED = Unsigned(31337, 5, 1, 10, 60_000, b"\1" * 20, 7, b"data", ((b"\2" * 20, (b"\3" * 32,)),))


@pytest.fixture
def elsewhere() -> Iterator[LyingNode]:
    made = LyingNode()
    yield made
    made.close()


@pytest.fixture
def client(elsewhere: LyingNode) -> Iterator[RpcClient]:
    made = RpcClient(elsewhere.url, timeout=5)
    yield made
    made.close()


def _foreign(parameters: list[Any], _: Any) -> Any:
    """What a wallet makes of the request, by another implementation."""
    [asked] = parameters
    fields = {name: value for name, value in asked.items() if name not in ("from", "input")}
    return format_data(Foreign.sign_transaction(fields, COW.key).raw_transaction)


@pytest.mark.parametrize("transaction", [WANTED, replace(WANTED, to=None, access_list=())], ids=["call", "creation"])
@pytest.mark.parametrize("method", [CLEF, WEB3SIGNER])
def test_it_signs_what_it_is_given(
    elsewhere: LyingNode, client: RpcClient, method: Method, transaction: Unsigned
) -> None:
    elsewhere.lies[WEB3SIGNER] = _foreign
    elsewhere.lies[CLEF] = lambda parameters, _: {"raw": _foreign(parameters, _), "tx": {}}
    signer = ExternalSigner(client, COW.address, method)
    assert signer.sign_transaction(transaction) == COW.sign_transaction(transaction)
    assert elsewhere.asked == [method]
    assert signer.address == COW.address


WRONG: dict[str, Any] = {
    "another account": format_data(BULL.sign_transaction(WANTED)),
    "another nonce": format_data(COW.sign_transaction(replace(WANTED, nonce=6))),
    "another value": format_data(COW.sign_transaction(replace(WANTED, value=8))),
    "another receiver": format_data(COW.sign_transaction(replace(WANTED, to=b"\4" * 20))),
    "other data": format_data(COW.sign_transaction(replace(WANTED, data=b""))),
    "another chain": format_data(COW.sign_transaction(replace(WANTED, chain_id=1))),
    "a higher fee": format_data(COW.sign_transaction(replace(WANTED, max_fee=11))),
    "no access list": format_data(COW.sign_transaction(replace(WANTED, access_list=()))),
    "a legacy one": format_data(
        Foreign.sign_transaction(
            {
                "nonce": 5,
                "gasPrice": 10,
                "gas": 60_000,
                "to": "0x" + "01" * 20,
                "value": 7,
                "data": b"data",
                "chainId": 31337,
            },
            COW.key,
        ).raw_transaction
    ),
    "cut short": format_data(COW.sign_transaction(WANTED)[:-1]),
    "a type that does not exist": "0x7f00",
    "nothing": None,
    "an empty object": {},
    "a number": 7,
}


@pytest.mark.parametrize("case", WRONG)
def test_anything_else_is_refused(elsewhere: LyingNode, client: RpcClient, case: str) -> None:
    elsewhere.lies[CLEF] = lambda *_: WRONG[case]
    with pytest.raises(BadSignature, match="the signer 127"):
        ExternalSigner(client, COW.address).sign_transaction(WANTED)


def test_it_may_decline(elsewhere: LyingNode, client: RpcClient) -> None:
    def decline(*_: Any) -> Any:
        raise Refuse(-32000, "Request denied")

    elsewhere.lies[CLEF] = decline
    with pytest.raises(NotAuthorised, match="declines: Request denied"):
        ExternalSigner(client, COW.address).sign_transaction(WANTED)


def test_it_is_asked_once(elsewhere: LyingNode) -> None:
    def hang(_: Any) -> None:
        raise Hang

    elsewhere.whole = hang
    client = RpcClient(elsewhere.url, timeout=0.05)
    with pytest.raises(ChainUnreachable):
        ExternalSigner(client, COW.address).sign_transaction(WANTED)
    assert len(elsewhere.batches) == 1
    client.close()


def test_an_address_has_20_bytes(client: RpcClient) -> None:
    with pytest.raises(Malformed):
        ExternalSigner(client, b"")

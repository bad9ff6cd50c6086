"""Keccak-256 against published digests and another implementation."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from tests.proof.evm_vectors import GENESIS_HASH, GENESIS_HEADER, MAINNET_HASH, MAINNET_HEADER
from twinproof.proof.anchor import ANCHORED
from twinproof.proof.keccak import RATE, keccak256


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (
            b"The quick brown fox jumps over the lazy dog",
            "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15",
        ),
        (b"Transfer(address,address,uint256)", "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
        (b"\xc0", "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
        (b"\x80", "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
    ],
)
def test_published_digests(data: bytes, digest: str) -> None:
    assert keccak256(data).hex() == digest


def test_blocks_of_the_main_network_have_their_hashes() -> None:
    assert keccak256(MAINNET_HEADER) == MAINNET_HASH
    assert keccak256(GENESIS_HEADER) == GENESIS_HASH


def test_every_length_around_the_block_size() -> None:
    for length in range(2 * RATE + 2):
        data = bytes(at % 251 for at in range(length))
        assert keccak256(data) == keccak(data)


@given(st.binary(max_size=700))
def test_any_bytes(data: bytes) -> None:
    assert keccak256(data) == keccak(data)


def test_the_events_topic() -> None:
    assert keccak(b"Anchored(bytes32,uint64,bytes32,uint64)") == ANCHORED

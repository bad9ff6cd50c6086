"""What other people's Ethereum says: public test vectors and one block of the main network.

Sources: the repository ethereum/tests (RLPTests/rlptest.json, RLPTests/invalidRLPTest.json, TrieTests/trietest.json), a
few of each; block 20,013,090 of Ethereum's main network of 2024-06-03 (a Cancun header) with its sixteen withdrawals,
whose trie has the shape that those of transactions and receipts have; the main network's genesis block.
"""

from __future__ import annotations

from typing import Any, Final

from twinproof.proof import rlp

h = bytes.fromhex


def n(value: int) -> bytes:
    """A number as RLP has it."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


RLP_GOOD: Final[dict[str, tuple[Any, str]]] = {
    "emptystring": (b"", "80"),
    "bytestring00": (b"\x00", "00"),
    "bytestring7F": (b"\x7f", "7f"),
    "shortstring": (b"dog", "83646f67"),
    "shortstring2": (
        b"Lorem ipsum dolor sit amet, consectetur adipisicing eli",
        "b74c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e7365637465747572206164697069736963696e6720656c69",
    ),
    "longstring": (
        b"Lorem ipsum dolor sit amet, consectetur adipisicing elit",
        "b8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e7365637465747572206164697069736963696e67"
        "20656c6974",
    ),
    "mediumint1": (n(128), "8180"),
    "mediumint3": (n(100_000), "830186a0"),
    "mediumint4": (n(83729609699884896815286331701780722), "8f102030405060708090a0b0c0d0e0f2"),
    "bigint": (n(1 << 256), "a1010000000000000000000000000000000000000000000000000000000000000000"),
    "emptylist": ([], "c0"),
    "stringlist": ([b"dog", b"god", b"cat"], "cc83646f6783676f6483636174"),
    "multilist": ([b"zw", [b"\x04"], b"\x01"], "c6827a77c10401"),
    "shortListMax1": (
        [b"asdf", b"qwer", b"zxcv"] * 3 + [b"asdf", b"qwer"],
        "f7" + "84617364668471776572847a786376" * 3 + "84617364668471776572",
    ),
    "longList1": ([[b"asdf", b"qwer", b"zxcv"]] * 4, "f840" + "cf84617364668471776572847a786376" * 4),
    "longList2": ([[b"asdf", b"qwer", b"zxcv"]] * 32, "f90200" + "cf84617364668471776572847a786376" * 32),
    "listsoflists2": ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
}

RLP_BAD: Final[dict[str, str]] = {
    "int32Overflow": "bf0f000000000000021111",
    "int32Overflow2": "ff0f000000000000021111",
    "wrongSizeList": "f80180",
    "wrongSizeList2": "f80100",
    "incorrectLengthInArray": "b9002100dc2b275d0f74e8a53e6f4ec61b27f24278820be3f82ea2110e582081b0565df0",
    "bytesShouldBeSingleByte00": "8100",
    "bytesShouldBeSingleByte01": "8101",
    "bytesShouldBeSingleByte7F": "817f",
    "leadingZerosInLongLengthArray1": "b900400001" + "02" * 63,
    "leadingZerosInLongLengthArray2": "b800",
    "leadingZerosInLongLengthList1": "fb00000040000102" + "03" * 61,
    "leadingZerosInLongLengthList2": "f800",
    "nonOptimalLongLengthArray1": "b81000112233445566778899aabbccddeeff",
    "nonOptimalLongLengthArray2": "b801ff",
    "nonOptimalLongLengthList1": "f810000102030405060708090a0b0c0d0e0f",
    "nonOptimalLongLengthList2": "f803112233",
}

# What is left of the insertions and deletions of each test.
TRIES: Final[dict[str, tuple[dict[bytes, bytes], str]]] = {
    "emptyValues": (
        {b"do": b"verb", b"horse": b"stallion", b"doge": b"coin", b"dog": b"puppy"},
        "5991bb8c6514148a29db676a14ac506cd2cd5775ace63c30a4fe457715e9ac84",
    ),
    "insert-middle-leaf": (
        {
            b"key1aa": b"0123456789012345678901234567890123456789xxx",
            b"key1": b"0123456789012345678901234567890123456789Very_Long",
            b"key2bb": b"aval3",
            b"key2": b"short",
            b"key3cc": b"aval3",
            b"key3": b"1234567890123456789012345678901",
        },
        "cb65032e2f76c48b82b5c24b3db8f670ce73982869d38cd39a624f23d62a9e89",
    ),
    "jeff": (
        {
            h(key): h(value)
            for key, value in (
                (f"{0x45:064x}", "22b224a1420a802ab51d326e29fa98e34c4f24ea"),
                (f"{0x46:064x}", "67706c2076330000000000000000000000000000000000000000000000000000"),
                (f"{0x697C7B8C961B56F675D570498424AC8DE1A918F6:064x}", b"oooh so great, reallly?".hex().ljust(64, "0")),
                (f"{0x7EF9E639E2733CB34E4DFC576D4B23F72DB776B2:064x}", b"FUGAV".hex().ljust(64, "0")),
                (f"{0xEC4F34C97E43FBB2816CFD95E388353C7181DAB1:064x}", b"NameReg".hex().ljust(64, "0")),
                (b"FUGAV".hex().ljust(64, "0"), "7ef9e639e2733cb34e4dfc576d4b23f72db776b2"),
                (b"NameReg".hex().ljust(64, "0"), "ec4f34c97e43fbb2816cfd95e388353c7181dab1"),
                (b"oooh so great, reallly?".hex().ljust(64, "0"), "697c7b8c961b56f675d570498424ac8de1a918f6"),
            )
        },
        "9f6221ebb8efe7cff60a716ecb886e67dd042014be444669f0159d8e68b42100",
    ),
}

MAINNET_HASH: Final = h("b5f712d1c6eab970b927eac6e3f1704f297d4acfc860f2b243f61e1771aab3ff")
MAINNET_NUMBER: Final = 20_013_090
MAINNET_TIME: Final = 1_717_439_363
_BLOOM: Final = (
    "906bcea33100b8441a4a0c5de35d59013308c3016c15ce661e9b0a186622e4714485c58587058601d718be14d7ba0d80be199318a800aefd"
    "47c7e06a0bad75262008cd48504b192bae365d0bce04e17e405c56db06fc3c988e020544d96c45d90e0f31684246873f3018d2178148ff75"
    "7625f37115d0a724a81cee37c63b2210884dae5e07432398b1dc31431fea424644d36649e140ac5cea31e25d28b02ba8061e0d1c8bad6f32"
    "0f7473ccaa12ceb844f9c63ac80fa005ecf30c4c01082278e192b20b60230782070e0dc26769d13636b0c413cd250594531735e26010e54d"
    "89ff6048ca0002b019ecbda696d1eb060d7dde60f3b2f4cb4e4182f885d137b1"
)
WITHDRAWALS_ROOT: Final = h("b18681663754565d0a1b2ba18ee9519e184905f59dfc5edd846fa5909772e1df")
MAINNET_HEADER: Final = rlp.encode(
    [
        h("b2b49c99cba41ed96ab53ff2b172cd867b7d6784fe8ca3c147d211529cde4482"),
        h("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
        h("4838b106fce9647bdf1e7877bf73ce8b0bad5f97"),
        h("62a02785cda0dc514aee2019d96eaefaee29d40428971940e21965805aa5136d"),
        h("6365226abe9c20b7754d2b71212edf4815dd6ae80f8e0086ce051f126cc5e478"),
        h("52b0138ad6cd29a7b8eab45da3fdbf3ac8ac19b9ea4b0fa85effff7c730b6c83"),
        h(_BLOOM),
        b"",
        n(MAINNET_NUMBER),
        n(30_000_000),
        n(13_875_029),
        n(MAINNET_TIME),
        b"Titan (titanbuilder.xyz)",
        h("221ee008a8c5aafb557a4654110c3aeb8ae9c3af0f5ff7271edc7c91b2d95e07"),
        bytes(8),
        n(13_726_822_059),
        WITHDRAWALS_ROOT,
        n(393_216),
        n(262_144),
        h("87c7c94ff2fdca52510b51b932364c1fae94cb20cc9657e6de84f19921745603"),
    ]
)

_AMOUNTS: Final = (
    18618781, 18597620, 18605044, 18600739, 18579875, 18598395, 18567176, 60449905,
    18560098, 18589913, 18582026, 18561169, 18541141, 18583829, 18568632, 63264515,
)  # fmt: skip
WITHDRAWALS: Final = [
    rlp.encode([n(47_650_059 + at), n(705_602 + at), h("b80efae34a4be9f813a5860ed017fc9b80751ed1"), n(amount)])
    for at, amount in enumerate(_AMOUNTS)
]
"""[index, validator, address, amount], EIP-4895."""

EMPTY_TRIE: Final = h("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
GENESIS_HASH: Final = h("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3")
GENESIS_HEADER: Final = rlp.encode(
    [
        bytes(32),
        h("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
        bytes(20),
        h("d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544"),
        EMPTY_TRIE,
        EMPTY_TRIE,
        bytes(256),
        n(17_179_869_184),
        b"",
        n(5_000),
        b"",
        b"",
        h("11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa"),
        bytes(32),
        n(0x42).rjust(8, b"\0"),
    ]
)

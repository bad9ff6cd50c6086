"""What commands of the chain are given and show: addresses, tokens, amounts, orders. Imports no EVM library."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from twinproof.chain.forms import NO_CURRENCY as NO_CURRENCY
from twinproof.chain.forms import address_name as address_name
from twinproof.chain.forms import amount_in as amount_in
from twinproof.chain.forms import coins as coins
from twinproof.chain.forms import hex_of as hex_of
from twinproof.chain.forms import order_name as order_name
from twinproof.chain.forms import parse_order
from twinproof.chain.forms import token_name as token_name
from twinproof.errors import Malformed

_AMOUNT: Final = re.compile(r"([0-9]{1,30})(?:\.([0-9]{1,18}))? ?(wei|gwei|units)?\Z", re.ASCII)
_DECIMALS: Final = {None: 18, "gwei": 9, "wei": 0, "units": 0}
_WORD: Final = re.compile(r"0x[0-9a-fA-F]{64}\Z", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}\Z", re.ASCII)


class Address(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """An account or a contract: 0x and 40 hexadecimal digits; mixed case is a checksum (EIP-55)."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Its 20 bytes."""
        if isinstance(value, bytes):
            return value
        from twinproof.chain.hexadecimal import parse_address

        try:
            return parse_address(value)
        except Malformed as problem:
            self.fail(f"{value!r} {problem.reason}", param, ctx)


class Word(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """32 bytes: 0x and 64 hexadecimal digits."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The bytes."""
        if isinstance(value, bytes):
            return value
        if not _WORD.match(value):
            self.fail(f"{value!r} is no {self.name}: 0x and 64 hexadecimal digits", param, ctx)
        return bytes.fromhex(value[2:])


class Number(Word):
    """The same as a number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        return value if isinstance(value, int) else int.from_bytes(super().convert(value, param, ctx), "big")


class Money(int):
    """An amount, and how it was said: of an ERC-20 only `units` are unmistakable."""

    in_units: bool = False

    @classmethod
    def of(cls, amount: int, *, in_units: bool) -> Money:
        """An amount in wei, or in an ERC-20's smallest unit."""
        made = cls(amount)
        made.in_units = in_units
        return made

    def for_currency(self, currency: bytes) -> int:
        """The plain number; raises a usage error if it was said for another kind of currency."""
        if any(currency) and not self.in_units:
            raise click.UsageError(
                "This is about an ERC-20, whose decimals only it knows: say it in its smallest unit, as 500units."
            )
        if self.in_units and not any(currency):
            raise click.UsageError("This is about the chain's own coin: say 0.5, 20gwei or 500wei.")
        return int(self)


class Amount(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """`0.5` of the chain's coin, `20 gwei`, `500 wei`; of an ERC-20 `500 units`, its smallest."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Money:
        """In wei, or in the ERC-20's smallest unit."""
        if isinstance(value, Money):
            return value
        found = _AMOUNT.match(value)
        decimals = _DECIMALS[found[3]] if found else 0
        if not found or len(found[2] or "") > decimals:
            self.fail(f"{value!r} is no amount such as 0.5, 20gwei, 500wei or 500units", param, ctx)
        amount = int(found[1] + (found[2] or "").ljust(decimals, "0"))
        if amount >> 128:
            self.fail(f"{value!r} is more than a contract can count (128 bits)", param, ctx)
        return Money.of(amount, in_units=found[3] == "units")


class OrderId(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """AGREEMENT-NUMBER, as `1-2`: the second order of agreement 1."""

    name = "order"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """`agreement << 32 | number`."""
        if isinstance(value, int):
            return value
        try:
            return parse_order(value, "order")
        except Malformed as problem:
            self.fail(f"{value!r} {problem.reason}", param, ctx)


class Counting(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A number from 1 on, in decimal digits."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; Python's `1_000` or `+5` is refused."""
        if isinstance(value, int):
            return value
        if not _NUMBER.match(value):
            self.fail(f"{value!r} is not a number from 1 on", param, ctx)
        return int(value)


ADDRESS = Address()
AMOUNT = Amount()
HASH = Word("hash")
TOKEN = Number("token")
BATCH = Number("batch")
ORDER = OrderId()
COUNTING = Counting()


def parse_amount(text: str, currency: bytes, field: str) -> int:
    """An amount as `AMOUNT` reads it; raises `Malformed`."""
    try:
        return AMOUNT.convert(text, None, None).for_currency(currency)
    except click.UsageError as problem:
        raise Malformed(field, problem.message) from None


def visible(text: object) -> str:
    """Text that others put on the chain, without what a terminal would act on."""
    if text is None:
        return "(no text)"
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))

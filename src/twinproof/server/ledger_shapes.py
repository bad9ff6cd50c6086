"""Answers about orders, parts, agreements and transactions, as OpenAPI shows them (`shapes`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from twinproof.server.shapes import Address, ChainNumber, Derived, EntryIndex, Shape

Wei = Annotated[str, Field(description="Decimal digits.")]
Amount = Annotated[str, Field(description="Of the agreement's currency, in its smallest unit: decimal digits.")]
HashText = Annotated[str, Field(description="0x and 64 hexadecimal digits.")]


class BlockShape(Shape):
    """The block as of which contracts were asked."""

    number: int
    hash: HashText
    time: int


class OpeningShape(Shape):
    """An action that is open now."""

    action: Annotated[str, Field(description="For POST /api/v1/transactions.")]
    by: Annotated[list[Address] | None, Field(description="Who may; null: anybody.")]
    until: Annotated[int | None, Field(description="POSIX seconds; null: while the state lasts.")]
    arguments: Annotated[dict[str, Any], Field(description="Those that are known.")]
    needs: Annotated[list[str], Field(description="Arguments that are still to be said.")]
    why: Annotated[str | None, Field(description="What must come before; null: nothing.")]
    note: str | None


class OrderItem(Shape):
    """An order in a list."""

    order: Annotated[str, Field(description="Agreement and number: `1-2`.")]
    sub: str
    agreement: ChainNumber
    chain: int
    contract: Address
    state: Annotated[str, Field(description="By the contract if it was asked, else by the log.")]
    since: Annotated[int, Field(description="Time of the block of the newest step that the log tells.")]
    deadline: Annotated[int | None, Field(description="Of an open state; null if it is not known.")]
    token: ChainNumber | None
    price: Amount | None
    currency: Annotated[Address | None, Field(description="An ERC-20; null: the chain's own coin.")]
    operator: Address | None
    supplier: Address | None
    entry: EntryIndex


class OrderList(Derived):
    """Orders, the highest numbers first."""

    items: list[OrderItem]
    next: Annotated[str | None, Field(description="Give it as `after` for the next page.")]
    block: BlockShape | None
    problem: Annotated[str | None, Field(description="Why the contract could not be asked.")]


class StepShape(Shape):
    """An event of an order."""

    event: str
    time: int
    block: int
    transaction: HashText
    entry: EntryIndex
    deadline: int | None
    token: ChainNumber | None
    by: Address | None
    amount: Amount | None
    reason: str | None


class EscrowShape(Shape):
    """The money of an order."""

    price: Amount
    currency: Address | None
    set_aside: Amount
    free: Annotated[str, Field(description="Of the agreement, for further orders.")]
    paid: bool
    owed: Annotated[dict[str, str], Field(description="Party -> what it may withdraw from the contract.")]


class OrderDetail(OrderItem, Derived):
    """An order, step by step."""

    arbiter: Address | None
    prediction: Annotated[int | None, Field(description="Log index of the prediction that placed it.")]
    installation: Annotated[int | None, Field(description="Log index of the installation that fulfilled it.")]
    order_key: Annotated[str | None, Field(description="What an installation statement names it by, in hex.")]
    received: bool | None
    consents: Annotated[list[Address], Field(description="Parties that agree to cancel.")]
    told: Annotated[str, Field(description="The state by the log.")]
    steps: list[StepShape]
    escrow: EscrowShape | None
    actions: list[OpeningShape]
    block: BlockShape | None
    problem: str | None


class TermsShape(Shape):
    """What the parties agreed on; times are seconds."""

    operator: Address
    supplier: Address
    arbiter: Address | None
    anchors: Address
    passports: Address
    log_id: HashText
    predictor: Annotated[str, Field(description="x and y of the P-256 key.")]
    technician: str
    unit: HashText
    below: float
    coverage: float
    part_number: HashText
    currency: Address | None
    max_age: int
    accept_within: int
    ship_within: int
    receive_within: int
    install_within: int
    dispute_within: int


class AgreementItem(Shape):
    """An agreement that the log tells of."""

    agreement: ChainNumber
    chain: int
    contract: Address
    state: Annotated[str | None, Field(description="proposed, active, suspended or ended; null if it is not known.")]
    twins: Annotated[list[str], Field(description="Those that the log speaks of and the token covers.")]
    covered: Annotated[int | None, Field(description="How many twins it is about.")]
    orders: int | None
    free: Amount | None
    price: Amount | None
    unit: Annotated[str | None, Field(description="In words, if a policy tells it.")]
    part_number: Annotated[str | None, Field(description="In words, if the log tells of such a part.")]
    terms: TermsShape | None
    actions: list[OpeningShape]


class AgreementList(Derived):
    """Agreements by number."""

    items: list[AgreementItem]
    next: str | None
    block: BlockShape | None
    problem: str | None


class PassportItem(Shape):
    """A part in a list, as the log tells."""

    token: ChainNumber
    sub: str
    chain: int
    contract: Address
    part_number: str | None
    serial: str | None
    manufacturer: Address | None
    owner: Address | None
    status: str
    parent: ChainNumber | None
    entry: EntryIndex


class PassportList(Derived):
    """Parts by their tokens."""

    items: list[PassportItem]
    next: str | None


class CustodyShape(Shape):
    """An event of a part's life."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    event: str
    from_: Annotated[str | None, Field(alias="from")]
    to: Address | None
    until: int | None
    status: str | None
    parent: ChainNumber | None
    by: Address | None
    time: int
    block: int
    transaction: HashText
    entry: Annotated[int | None, Field(description="The entry that states it; null if the log does not.")]


class BirthShape(Shape):
    """What the part's life began with."""

    leaf: HashText
    entry: Annotated[int | None, Field(description="Null if the statement is in another log.")]


class OfferShape(Shape):
    """A standing offer."""

    to: Address
    until: int
    open: Annotated[bool, Field(description="Whether it can still be accepted.")]


class ChildShape(Shape):
    """A part that is in the part."""

    token: ChainNumber
    sub: str | None


class Passport(Derived):
    """A part with its custody."""

    token: ChainNumber
    sub: Annotated[str | None, Field(description="Null if the log does not speak of it.")]
    twin: Annotated[str | None, Field(description="SHA-256 of its IRI.")]
    chain: int
    contract: Address
    part_number: str | None
    serial: str | None
    manufacturer: Address | None
    birth: BirthShape | None
    owner: Address | None
    user: Address | None
    status: str
    parent: ChainNumber | None
    parent_sub: str | None
    children: list[ChildShape]
    offer: OfferShape | None
    custody: list[CustodyShape]
    told: Annotated[bool, Field(description="Whether the log tells of its events; else the chain was asked.")]
    actions: list[OpeningShape]
    block: BlockShape | None
    problem: str | None


class AccountItem(Shape):
    """An account that the node can sign for."""

    name: str
    address: Address
    balance_wei: Wei | None


class AccountList(Shape):
    """The node's own account first."""

    items: list[AccountItem]
    chain_id: int | None
    block: BlockShape | None
    problem: str | None


ArgumentValue = str | int | bool | list[str] | None


class TransactionQuestion(BaseModel):
    """An action on the contracts (docs/api.md)."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, strict=True)

    action: Annotated[str, Field(max_length=64, examples=["order.accept"])]
    arguments: Annotated[dict[str, ArgumentValue], Field(max_length=16)]
    from_: Annotated[str, Field(alias="from", pattern=r"^0x[0-9a-fA-F]{40}$", description="Who acts.")]
    sign: Literal["node", "wallet"]
    dry: Annotated[bool, Field(description="Say what it would do and cost; sign nothing.")] = False
    id: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_-]{8,64}$",
            description="Yours, new for each transaction that the node signs: with the same one nothing is sent twice.",
        ),
    ] = None


class TransactionAnswer(Shape):
    """A transaction: priced, or sent."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    action: str
    from_: Annotated[str, Field(alias="from")]
    to: Address
    data: Annotated[str, Field(description="0x and hexadecimal digits.")]
    value: Wei
    gas: Annotated[int | None, Field(description="That it would use; null if it was sent before.")]
    gas_limit: int | None
    max_fee_wei: Annotated[str | None, Field(description="For a unit of gas, at most.")]
    max_tip_wei: str | None
    fee_wei: Annotated[str | None, Field(description="For its gas, at the fee of now.")]
    most_wei: Annotated[str | None, Field(description="For its gas, at most.")]
    chain_id: int
    says: str
    hash: Annotated[str | None, Field(description="Of the transaction that was sent.")]


class TransactionStatus(Shape):
    """What became of a transaction."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    hash: HashText
    state: Literal["pending", "mined", "failed", "replaced"]
    final: Annotated[bool, Field(description="Whether it has all confirmations.")]
    from_: Annotated[str | None, Field(alias="from")]
    to: Address | None
    block: int | None
    time: int | None
    gas: int | None
    fee_wei: Wei | None
    reason: str | None


class CommandQuestion(BaseModel):
    """A command for a twin."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sub: Annotated[str, Field(min_length=1, max_length=512)]
    name: Annotated[str, Field(min_length=1, max_length=128)]
    input: Any = None
    deadline: Annotated[int | None, Field(gt=0, description="POSIX seconds after which the device must not begin.")] = (
        None
    )
    id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")] = None


class DesiredQuestion(BaseModel):
    """What properties of a twin should be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sub: Annotated[str, Field(min_length=1, max_length=512)]
    set: Annotated[dict[str, Any], Field(max_length=2048)] = {}
    unset: Annotated[list[str], Field(max_length=2048)] = []
    id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")] = None


class ResponseQuestion(BaseModel):
    """A person's answer to an alarm."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sub: Annotated[str, Field(min_length=1, max_length=512)]
    rule: Annotated[str, Field(min_length=1, max_length=64)]
    transition: Literal["acknowledge", "shelve", "unshelve"]
    until: Annotated[int | None, Field(gt=0, description="End of a shelving, POSIX seconds.")] = None
    text: Annotated[str | None, Field(max_length=400)] = None
    id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")] = None


class Stated(Shape):
    """The statement that the node signed."""

    entry: EntryIndex
    digest: Annotated[str, Field(description="SHA-256, in hex: it names a request.")]

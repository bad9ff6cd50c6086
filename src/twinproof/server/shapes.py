"""The JSON API's answers as OpenAPI shows them. Handlers write JSON themselves; tests compare it with these."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

EntryIndex = Annotated[int, Field(description="Log index of the statement.")]
Address = Annotated[str, Field(description="0x and 40 hexadecimal digits.")]
ChainNumber = Annotated[str, Field(description="A contract's number: decimal digits, up to 2^256.")]


class Shape(BaseModel):
    """All members are there, and no others."""

    model_config = ConfigDict(extra="forbid")


class Problem(Shape):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="What was wrong and what to do.")]
    code: Annotated[str, Field(description="Stable name of the refusal.")]
    field: str = Field(default="", description="The parameter or member that was malformed.")


class Derived(Shape):
    """An answer that is derived from the log."""

    reached: Annotated[int, Field(description="The answer takes in this many entries of the log.")]


class Told(Shape):
    """A value and where it comes from."""

    value: Any
    entry: EntryIndex
    time: Annotated[int, Field(description="The statement's iat, POSIX seconds.")]


class Link(Shape):
    """A relationship."""

    name: str
    target: str
    entry: EntryIndex
    time: int


class LatestReading(Shape):
    """The newest measurement under a name."""

    value: Any
    unit: str | None
    time: Annotated[float, Field(description="The device's clock, POSIX seconds.")]
    entry: EntryIndex


class RequestMade(Shape):
    """A command or a desired statement, and what became of it."""

    id: Annotated[str, Field(description="SHA-256 of its statement, in hex.")]
    name: str | None
    status: str
    entry: EntryIndex
    time: int
    answer: Annotated[int | None, Field(description="Log index of the newest acknowledgement.")]


class RuleHeld(Shape):
    """An alarm rule."""

    signal: str
    test: str
    limit: float
    severity: str
    deadband: float
    delay_on: int
    delay_off: int
    text: str | None
    entry: EntryIndex


class StrayingSignal(Shape):
    """A signal in a case."""

    name: str
    part: Annotated[float, Field(description="Of the score; negative where the signal was too low.")]


class CaseFleet(Shape):
    """How many twins of a model strayed alike."""

    strayed: int
    twins: int


class CaseHeld(Shape):
    """Why a detector raised an alarm."""

    detector: str
    score: Annotated[float, Field(description="In parts of the limit; in a fleet's case, the share that strayed.")]
    since: Annotated[float, Field(description="When the signals began to stray, POSIX seconds.")]
    signals: list[StrayingSignal]
    hints: Annotated[list[str], Field(description="Modes of failure that look like this, likeliest first.")]
    fleet: CaseFleet | None


class AlarmHeld(Shape):
    """An alarm that is not normal (ISA-18.2)."""

    state: str
    active: bool
    acknowledged: bool
    shelved_until: int | None
    value: float | None
    entry: EntryIndex
    time: int
    case: CaseHeld | None


class Forecast(Shape):
    """The newest prediction of the remaining useful life."""

    lower: float
    point: float
    upper: float
    coverage: Annotated[float, Field(description="Probability of the interval from lower to upper.")]
    unit: str
    model: Annotated[str, Field(description="SHA-256 of the model's file, in hex.")]
    until: Annotated[int | None, Field(description="Log index below which the model read.")]
    drivers: dict[str, float]
    episode: str | None
    remarks: Annotated[list[str], Field(description="What the model's rules say about the readings.")]
    widened: Annotated[
        float | None, Field(description="Coverage of the interval that bad readings made stretch; it claims none then.")
    ]
    iss: str
    entry: EntryIndex
    time: int


class PolicyHeld(Shape):
    """When a prediction places an order."""

    unit: str
    below: float
    coverage: float
    chain: int
    contract: Address
    agreement: ChainNumber
    entry: EntryIndex


class InstalledPart(Shape):
    """A part that a technician put in."""

    part: ChainNumber
    order: Annotated[str, Field(description="The order's key, in hex.")]
    entry: EntryIndex
    time: int


class PartToken(Shape):
    """A part's token, as the contract's events tell."""

    chain: int
    contract: Address
    token: ChainNumber
    owner: Address | None
    status: str
    parent: ChainNumber | None
    entry: EntryIndex


class OrderHeld(Shape):
    """A maintenance order, as the contract's events tell."""

    chain: int
    contract: Address
    order: ChainNumber
    agreement: ChainNumber
    state: str
    since: Annotated[int, Field(description="Time of the block that led to the state.")]
    token: ChainNumber | None
    entry: EntryIndex


class State(Derived):
    """A twin's state."""

    sub: str
    model: Told | None
    lifecycle: Told | None
    properties: dict[str, Told]
    relationships: list[Link]
    readings: dict[str, LatestReading]
    attestations: list[Told]
    losses: list[Told]
    desired: dict[str, Told]
    requests: list[RequestMade]
    rules: dict[str, RuleHeld]
    alarms: dict[str, AlarmHeld]
    prediction: Forecast | None
    policies: dict[str, PolicyHeld]
    installed: list[InstalledPart]
    tokens: list[PartToken]
    orders: list[OrderHeld]
    statements: Annotated[int, Field(description="Entries about the twin.")]
    last_index: EntryIndex


class TwinItem(Shape):
    """A twin in a list."""

    sub: str
    model: str | None
    lifecycle: str | None
    statements: int
    entry: Annotated[int, Field(description="Log index of its newest statement.")]


class TwinList(Derived):
    """Twins in the order of their IRIs."""

    items: list[TwinItem]
    next: Annotated[str | None, Field(description="Give it as `after` for the next page.")]


class HistoryItem(Shape):
    """An entry about a twin."""

    entry: int
    kind: str
    iss: str
    time: int


class History(Derived):
    """Entries about a twin in log order."""

    items: list[HistoryItem]
    next: int | None


class AlarmItem(Shape):
    """An alarm in a list."""

    sub: str
    rule: str
    state: str
    severity: str | None
    entry: EntryIndex
    time: int
    case: CaseHeld | None
    part_of: Annotated[str | None, Field(description="The model of which a case says that many twins stray alike.")]


class AlarmList(Derived):
    """Standing alarms, newest first."""

    items: list[AlarmItem]


class Evidence(Shape):
    """Where proofs of one entry are."""

    statement: str
    receipt: str
    transparent: str
    tlog_proof: str


class TwinEvidence(Derived):
    """Where proofs about a twin are."""

    sub: str
    bundle: Annotated[str, Field(description="The history bundle: check it with `twinproof verify`.")]
    checkpoint: str
    keys: str
    newest: Evidence


class ModelItem(Shape):
    """A published model."""

    id: str
    entry: EntryIndex


class ModelList(Derived):
    """Models in the order of their identifiers."""

    items: list[ModelItem]
    next: str | None


class ModelSummary(Derived):
    """What an Interface defines, inherited contents included."""

    id: str
    entry: EntryIndex
    language: str
    display_name: dict[str, str]
    description: dict[str, str]
    extends: list[str]
    properties: dict[str, dict[str, Any]]
    telemetry: dict[str, dict[str, Any]]
    commands: dict[str, dict[str, Any]]
    relationships: dict[str, dict[str, Any]]
    components: dict[str, str]


class ReadingItem(Shape):
    """A reading."""

    sub: str
    signal: str
    unit: str | None
    time: float
    value: Any
    sum: float | None
    entry: EntryIndex
    row: Annotated[int, Field(description="Number of the SenML record, or row × columns + column.")]


class ReadingList(Derived):
    """Readings by time, then by place in the log."""

    items: list[ReadingItem]
    next: str | None


class SeriesItem(Shape):
    """Buckets of one signal of one twin."""

    sub: str
    signal: str
    unit: str | None
    times: Annotated[list[float], Field(description="Starts of the buckets.")]
    values: Annotated[dict[str, list[float | int | None]], Field(description="Aggregate -> a number per bucket.")]


class GridShape(Shape):
    """How time is cut up."""

    start: float
    end: float
    width: float
    count: int


class BucketList(Derived):
    """Aggregates over equal spans of time."""

    grid: GridShape | None
    series: list[SeriesItem]


class SqlQuestion(Shape):
    """A query over the table `readings` (docs/telemetry.md)."""

    sql: Annotated[str, Field(min_length=1, max_length=65536, examples=["SELECT count(*) FROM readings"])]
    max_rows: Annotated[int, Field(ge=1, le=100_000, strict=True)] = 10_000
    timeout: Annotated[float, Field(gt=0, le=60, description="Seconds.")] = 10.0


class ColumnShape(Shape):
    """A column of a result."""

    name: str
    type: Annotated[str, Field(description="Arrow's name of the type.")]


class SqlAnswer(Derived):
    """Rows of a query."""

    columns: list[ColumnShape]
    rows: list[list[Any]]
    truncated: Annotated[bool, Field(description="There were more than max_rows rows.")]


GraphValue = str | float | bool | None


class GraphQuestion(Shape):
    """A query over the twin graph (docs/graph.md)."""

    query: Annotated[str, Field(min_length=1, max_length=65536, examples=["MATCH (e) RETURN e.iri LIMIT 10"])]
    at: Annotated[int | None, Field(ge=0, lt=1 << 63, strict=True, description="As of the state after this entry.")] = (
        None
    )
    parameters: Annotated[
        dict[str, GraphValue | list[GraphValue]], Field(max_length=100, description="Values of the query's $names.")
    ] = {}


class GraphAnswer(Derived):
    """Rows of a query."""

    columns: list[str]
    rows: list[list[Any]]
    more: Annotated[bool, Field(description="There are rows beyond the limit.")]


class LogHead(Shape):
    """The newest signed tree head."""

    origin: str
    size: int
    root: Annotated[str, Field(description="Hex.")]
    time: Annotated[int, Field(description="When it was signed, POSIX seconds.")]
    checkpoint: Annotated[str, Field(description="The signed note.")]


class CheckpointItem(Shape):
    """A kept checkpoint."""

    size: int
    time: int
    checkpoint: str


class CheckpointList(Shape):
    """Kept checkpoints by size."""

    items: list[CheckpointItem]
    next: int | None


class EntryShape(Shape):
    """An entry, decoded. What was signed are the bytes of the statement."""

    entry: int
    kind: str
    content_type: str
    iss: str
    sub: str
    kid: str
    seq: int
    prev: str | None
    iat: int
    digest: str
    payload: Annotated[Any, Field(description="The CBOR payload as JSON.")]
    evidence: Evidence


class Readiness(Shape):
    """Whether the node can serve."""

    ready: bool
    checks: Annotated[dict[str, str], Field(description="What is looked at -> ok, or what is wrong.")]
    size: int
    behind: Annotated[dict[str, int], Field(description="View -> entries that it has not taken in yet.")]


class Anchoring(Shape):
    """How the log is anchored on the chain."""

    size: Annotated[int, Field(description="Entries that the newest anchor covers; 0 before the first.")]
    time: Annotated[int | None, Field(description="The newest anchor's.")]
    block: Annotated[int | None, Field(description="Of the newest confirmed anchor.")]
    count: int
    behind_entries: Annotated[int, Field(description="Entries that no anchor covers.")]
    behind_seconds: float
    spent_wei: Annotated[str, Field(description="What this node paid for confirmed anchors.")]
    due: Annotated[float | None, Field(description="When the next one is due; null while there is nothing to anchor.")]
    pending: bool
    forked: Annotated[bool, Field(description="The chain holds a head that is none of this log: nothing is anchored.")]
    problem: str | None


class EventsHeard(Shape):
    """What contracts say about twins, and what of it is stated."""

    next_block: int
    stated: int
    retracted: int
    refused: int
    waiting: int
    problem: str | None


class Relayed(Shape):
    """Predictions that policies name, on their way to the contract."""

    open: int
    decisions: Annotated[
        dict[str, int],
        Field(description="placed, sent, taken, waiting, stale, refused, disproved, unreplayable: how often."),
    ]
    problem: str | None


class ChainConnection(Shape):
    """A node's chain."""

    chain_id: int
    account: Address
    log_id: str
    contracts: dict[str, Address]
    anchoring: Anchoring
    events: EventsHeard | None
    relay: Relayed | None


class ChainStatus(Shape):
    """How the node's chain side stands."""

    chain: Annotated[ChainConnection | None, Field(description="Null if no chain is set up.")]

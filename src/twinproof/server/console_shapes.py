"""Answers that the console asks for first, as OpenAPI shows them (`shapes` has the others)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from twinproof.server.shapes import Derived, EntryIndex, Shape

# --- session --------------------------------------------------------------------------------------


class OidcSignIn(Shape):
    """How to sign in at an outside issuer: OpenID Connect, authorization code with PKCE."""

    issuer: str
    client_id: str
    audience: str


class SignIn(Shape):
    """The ways to sign in."""

    token: Annotated[bool, Field(description="Whether a bearer token can be given.")]
    oidc: OidcSignIn | None


class SessionChain(Shape):
    """The chain that the node works with."""

    chain_id: int


class Session(Shape):
    """Who asks, what they may do, and whose node this is."""

    signed_in: Annotated[bool, Field(description="Whether the request shows a token that holds.")]
    id: Annotated[str | None, Field(description="The token's id, or the issuer's name for its bearer.")]
    scopes: Annotated[list[str], Field(description="What may be read: `all` where reading takes no token.")]
    operates: Annotated[bool, Field(description="Whether the caller may act through the node.")]
    origin: Annotated[str, Field(description="The log's name.")]
    version: Annotated[str, Field(description="Of the software.")]
    operator: Annotated[str, Field(description="The issuer of the log's genesis.")]
    log_keys: Annotated[list[str], Field(description="The log's verifier keys (C2SP signed-note).")]
    policy: Annotated[
        str | None, Field(description="A trust policy of this node, to compare with: trust comes from elsewhere.")
    ]
    chain: Annotated[SessionChain | None, Field(description="Null if no chain is set up.")]
    sign_in: SignIn


# --- fleet ----------------------------------------------------------------------------------------


class FleetAlarms(Shape):
    """Alarms that nobody shelved."""

    standing: int
    unacknowledged: int
    worst: Literal["low", "medium", "high", "critical"] | None


class FleetForecast(Shape):
    """The newest prediction of the remaining useful life."""

    lower: float
    point: float
    upper: float
    coverage: float
    unit: str
    widened: float | None
    time: int
    entry: EntryIndex


class FleetRow(Shape):
    """A twin."""

    sub: str
    name: Annotated[str | None, Field(description="Its property `name`, if that is text.")]
    model: str | None
    lifecycle: str | None
    health: Annotated[
        Literal["good", "watch", "act", "unknown"],
        Field(
            description="act: an alarm of severity high or critical stands, or an order is open; watch: another alarm "
            "stands, or the forecast is widened; unknown: no readings."
        ),
    ]
    statements: int
    entry: Annotated[int, Field(description="Log index of its newest statement.")]
    time: Annotated[int, Field(description="That statement's iat, POSIX seconds.")]
    alarms: FleetAlarms
    forecast: FleetForecast | None
    newest: Annotated[float | None, Field(description="Time of the newest reading, the device's clock, POSIX seconds.")]
    gaps: Annotated[int, Field(description="Times that a signer admitted that records were lost.")]
    orders: Annotated[int, Field(description="Open maintenance orders.")]
    signed: Annotated[
        Literal["device", "gateway", "both"] | None, Field(description="Who signed its readings; null without any.")
    ]
    anchored: Annotated[bool | None, Field(description="Whether an anchor covers `entry`; null without a chain.")]


class Fleet(Derived):
    """Twins in the order of their IRIs."""

    items: list[FleetRow]
    next: str | None
    anchored_size: Annotated[
        int | None, Field(description="Entries that the newest anchor covers: it may grow without a word about a twin.")
    ]


# --- timeline -------------------------------------------------------------------------------------


class GrantRelied(Shape):
    """The grant that a statement was taken under."""

    entry: Annotated[int, Field(description="Log index of the grant; 0 is the genesis.")]
    digest: str
    can: list[str]
    scope: dict[str, str]


class Integrated(Shape):
    """The first kept checkpoint whose tree holds the entry."""

    size: int
    time: Annotated[int, Field(description="When the log signed it, POSIX seconds.")]


class AnchoredAt(Shape):
    """The earliest block whose anchor covers the entry."""

    size: int
    time: Annotated[int, Field(description="The block's, POSIX seconds.")]
    block: int
    transaction: str


class TimelineItem(Shape):
    """An entry about a twin."""

    entry: int
    kind: str
    iss: str
    gateway: Annotated[bool, Field(description="Whether a gateway signed on behalf of equipment that cannot.")]
    seq: int
    digest: str
    time: Annotated[int, Field(description="The signer's claim, POSIX seconds.")]
    grant: Annotated[
        GrantRelied | None, Field(description="Null if the log gives none, which a check of it would tell.")
    ]
    capability: Annotated[str | None, Field(description="What the kind takes; null where any grant will do.")]
    integrated: Integrated | None
    anchored: AnchoredAt | None
    said: Annotated[dict[str, Any], Field(description="A few fields by kind, at most 1 KiB.")]


class Timeline(Derived):
    """Entries about a twin, the newest first."""

    items: list[TimelineItem]
    next: Annotated[int | None, Field(description="Give it as `before` for the next page.")]


# --- log ------------------------------------------------------------------------------------------


class GrowthPoint(Shape):
    """A kept checkpoint."""

    time: int
    size: int


class LogGrowth(Shape):
    """Size by time."""

    points: list[GrowthPoint]


class WitnessItem(Shape):
    """A witness."""

    name: str
    key_id: Annotated[str, Field(description="Of the key, 8 hexadecimal digits.")]
    key: Annotated[str | None, Field(description="Verifier key in the node's policy; null if that does not name it.")]
    size: Annotated[int | None, Field(description="Entries of the newest checkpoint with its signature.")]
    time: Annotated[int | None, Field(description="When it signed; null where the signature could not be checked.")]
    problem: Annotated[str | None, Field(description="Why its signature does not hold.")]


class WitnessList(Shape):
    """Witnesses of the policy in its order, then others by name."""

    items: list[WitnessItem]


class AnchorItem(Shape):
    """A head of the log that a block records."""

    size: int
    root: Annotated[str, Field(description="Hex.")]
    time: Annotated[int, Field(description="The block's, POSIX seconds.")]
    block: int
    transaction: str
    gas: Annotated[int | None, Field(description="Null where the chain does not say.")]
    fee_wei: str | None


class AnchorList(Shape):
    """Anchors, the newest first."""

    chain_id: int | None
    items: list[AnchorItem]
    next: Annotated[int | None, Field(description="Give it as `after` for the next page.")]


class Consistency(Shape):
    """That a tree extends another (RFC 9162 §2.1.4)."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: Annotated[int, Field(alias="from", description="Entries of the smaller tree.")]
    to: int
    from_root: Annotated[str, Field(description="Base64.")]
    to_root: Annotated[str, Field(description="Base64.")]
    proof: Annotated[list[str], Field(description="Hashes, base64.")]


class Nothing(Shape):
    """An empty object: there is nothing to choose."""


class CheckFinding(Shape):
    """Something in the log that is not as it should be."""

    kind: str
    where: str
    problem: str


class LogCheckReport(Shape):
    """How the newest check of the log stands."""

    running: bool
    done: Annotated[int, Field(description="Entries looked at.")]
    total: int
    started: Annotated[int | None, Field(description="Null if there was none since the node was started.")]
    ended: int | None
    sound: Annotated[bool | None, Field(description="Whether nothing was found; null before the end.")]
    found: Annotated[int, Field(description="Findings.")]
    findings: Annotated[list[CheckFinding] | None, Field(description="The first 100; null without the scope `all`.")]
    problem: Annotated[str | None, Field(description="Why it was broken off.")]

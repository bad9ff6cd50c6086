"""Answers that the console asks for first, as OpenAPI shows them (`shapes` has the others)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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

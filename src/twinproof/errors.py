"""Every exception that Twinproof raises on purpose.

Bad input and our own impossibilities are different things: all of the classes here mean that
something from outside was refused, or that the outside (disk, network) failed. A broken invariant
of our own raises `InternalError`.

Each class has a stable `code`, used in JSON answers and in `--json` output, and each message says
what was wrong and, where something can be done, what to do next.
"""

from __future__ import annotations


class TwinproofError(Exception):
    """Root of the tree."""

    code = "error"
    """Stable machine-readable name of the refusal."""


class InternalError(TwinproofError):
    """An invariant of this program does not hold: a bug, or memory changed under us."""

    code = "internal"


# --- bytes that do not say what they should -------------------------------------------------


class Malformed(TwinproofError):
    """Input does not follow its format. `field` names the place, `reason` the rule."""

    code = "malformed"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class TooLarge(Malformed):
    """Input is over a stated size limit; nothing of it was read further."""

    code = "too-large"


# --- signatures and proofs ------------------------------------------------------------------


class BadSignature(TwinproofError):
    """A signature does not verify under the key that it names."""

    code = "bad-signature"


class BadProof(TwinproofError):
    """A Merkle proof does not lead to the root."""

    code = "bad-proof"


class Untrusted(TwinproofError):
    """A note or receipt carries no signature that the trust policy accepts, or too few."""

    code = "untrusted"


# --- authority ------------------------------------------------------------------------------


class NotAuthorised(TwinproofError):
    """The grants in the log do not let this signer say this about this twin."""

    code = "not-authorised"


class UnknownSigner(NotAuthorised):
    """No grant introduces this key."""

    code = "unknown-signer"


class Revoked(NotAuthorised):
    """The grant was revoked at an earlier index."""

    code = "revoked"


class OutOfScope(NotAuthorised):
    """The signer is known, but not for this twin or this kind of statement."""

    code = "out-of-scope"


class OutsideValidity(NotAuthorised):
    """The statement lies before or after the grant's time or index window."""

    code = "outside-validity"


class Amplified(NotAuthorised):
    """A grant gives more than its granter holds."""

    code = "amplified"


# --- streams --------------------------------------------------------------------------------


class StreamError(TwinproofError):
    """A statement does not continue its stream."""

    code = "stream"


class Gap(StreamError):
    """`seq` is beyond the next number; `expected` is the number that the log waits for."""

    code = "gap"

    def __init__(self, message: str, expected: int) -> None:
        super().__init__(message)
        self.expected = expected


class ChainBroken(StreamError):
    """`prev` is not the digest of the stream's previous statement."""

    code = "chain-broken"


class Equivocation(StreamError):
    """Another statement already holds this stream position; `index` is its log index."""

    code = "equivocation"

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class StreamStopped(StreamError):
    """A device's stream goes no further until somebody decides; `reason` is the code of the refusal."""

    code = "stream-stopped"

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class FutureDated(TwinproofError):
    """The statement's `iat` is ahead of the log's clock by more than the tolerance."""

    code = "future-dated"


# --- the log --------------------------------------------------------------------------------


class LogError(TwinproofError):
    """The log cannot do what was asked."""

    code = "log"


class NotFound(LogError):
    """No such entry, tile, stream or key."""

    code = "not-found"


class Conflict(LogError):
    """Another writer changed the head: the compare-and-swap failed and nothing was written."""

    code = "conflict"


class RolledBack(LogError):
    """The database is older than the last checkpoint signed here. Signing would fork the log."""

    code = "rolled-back"


class Corrupt(LogError):
    """Stored bytes contradict each other; run `twinproof fsck`."""

    code = "corrupt"


class StorageFailed(LogError):
    """The disk refused a read or a write (full, gone, read-only). Nothing was acknowledged."""

    code = "storage-failed"


# --- service --------------------------------------------------------------------------------


class Overloaded(TwinproofError):
    """The queue is full. Nothing was kept; send again after `retry_after` seconds."""

    code = "overloaded"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(Overloaded):
    """This client is over its rate."""

    code = "rate-limited"


class Unreachable(TwinproofError):
    """The node could not be reached or did not answer in its own format."""

    code = "unreachable"


class RefusedByLog(TwinproofError):
    """The log will not take a statement; `code` is that of its refusal."""

    code = "refused"

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class ConfigError(TwinproofError):
    """A setting is missing or wrong; the message names the file and the key."""

    code = "config"


class NotInstalled(ConfigError):
    """A package that an extra brings is not here; the message names the extra."""

    code = "not-installed"


# --- the chain ------------------------------------------------------------------------------


class ChainError(TwinproofError):
    """The blockchain, or the way to it, cannot do what was asked."""

    code = "chain"


class ChainUnreachable(ChainError):
    """The chain's node does not answer, or not in time. What was sent may have arrived: the outbox finds out."""

    code = "chain-unreachable"


class WrongChain(ChainError):
    """The network has another chain id than the one that was pinned; nothing was sent."""

    code = "wrong-chain"


class WrongPassword(ChainError):
    """The password does not open the encrypted key."""

    code = "wrong-password"


class ChainLied(ChainError):
    """The chain's node contradicts itself or what was proved before: its answer is not used."""

    code = "chain-lied"


class ForkedHistory(ChainError):
    """The chain holds a head that is no prefix of this log: one of the two is not the history it claims to be."""

    code = "forked"


class TransactionRefused(ChainError):
    """The chain does not take a transaction."""

    code = "transaction-refused"


class Underpriced(TransactionRefused):
    """The offered fee is below what the next block asks for, or below the replaced transaction's."""

    code = "underpriced"


class OutOfFunds(TransactionRefused):
    """The account cannot pay value and fee."""

    code = "out-of-funds"


class NonceTaken(TransactionRefused):
    """Another transaction of the account has this nonce already."""

    code = "nonce-taken"


class Replaced(TransactionRefused):
    """Another transaction with the same nonce was mined instead of this one."""

    code = "replaced"


class TooExpensive(TransactionRefused):
    """The fee would be above the configured limit; nothing was sent."""

    code = "too-expensive"


class Unready(ChainError):
    """What a contract would ask for is not there yet; nothing was sent."""

    code = "unready"


class Reverted(ChainError):
    """A contract refused; `reason` is its custom error with arguments, `data` the bytes it came from."""

    code = "reverted"

    def __init__(self, reason: str, data: bytes = b"") -> None:
        super().__init__(f"the contract refuses: {reason}")
        self.reason = reason
        self.data = data


# --- reading --------------------------------------------------------------------------------


class Unauthenticated(TwinproofError):
    """A reader shows no token, or one that does not hold."""

    code = "unauthenticated"


class AccessDenied(TwinproofError):
    """The reader's token does not reach this far."""

    code = "access-denied"


# --- verification ---------------------------------------------------------------------------


class VerificationFailed(TwinproofError):
    """Evidence was read and found wanting.

    `step` is the numbered step that failed (spec/evidence.md), `problems` every finding of that
    step, in log order, so that an auditor sees all tampered entries at once.
    """

    code = "verification-failed"

    def __init__(self, step: int, title: str, problems: list[str]) -> None:
        shown = "; ".join(problems[:5]) + (f" (+{len(problems) - 5} more)" if len(problems) > 5 else "")
        super().__init__(f"step {step} ({title}) failed: {shown}")
        self.step = step
        self.title = title
        self.problems = problems


class ForecastMismatch(TwinproofError):
    """A replay gives other bits than the recorded forecast. `field` names the first part that differs."""

    code = "forecast-mismatch"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason

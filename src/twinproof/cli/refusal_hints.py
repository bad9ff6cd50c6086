"""A contract's refusal with the command that helps."""

from __future__ import annotations

from twinproof.chain.hints import HINTS as HINTS
from twinproof.chain.hints import hint_of
from twinproof.errors import Reverted


def with_hint(refusal: Reverted) -> Reverted:
    """The refusal with what to do, if that is known."""
    hint = hint_of(refusal.reason, commands=True)
    return Reverted(f"{refusal.reason}: {hint}", refusal.data) if hint else refusal

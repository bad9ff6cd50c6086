"""Digital twins you can prove: one log of signed statements, and everything else derived from it."""

from __future__ import annotations

__version__ = "0.1.0"
"""The package's version; the build reads it from here."""

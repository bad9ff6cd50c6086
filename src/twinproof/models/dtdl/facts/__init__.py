"""The facts of the language: tables in `core`, `extensions`, `units`; their shape in `rows`; made usable in `build`."""

from __future__ import annotations

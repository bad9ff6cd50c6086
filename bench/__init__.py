"""Measurements. `python -m bench [--quick] [name ...]` runs the modules of this folder (`make bench`).

A module measures one subject: `run(quick: bool) -> dict[str, object]` returns its numbers, with units
in their names, and reports progress on standard error.
"""

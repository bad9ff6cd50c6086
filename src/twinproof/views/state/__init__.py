"""The state view: every twin's state now and at any past entry, its history, relationships and properties over time.

view = StateView(folder / "views.db", feed)
view.catch_up()
view.state("https://fleet.example/engine/1", at=1200)
"""

from __future__ import annotations

from twinproof.views.state.view import HistoryRow, StateView, TwinRow

__all__ = ["HistoryRow", "StateView", "TwinRow"]

"""What Prometheus hears of forecasting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.node.forecast_rig import opened, rows_of
from twinproof.server.metrics import Metrics


def test_forecasting_tells_how_it_stands(tmp_path: Path) -> None:
    with opened(tmp_path / "node") as rig:
        rig.describe(0)
        rig.promote()
        rig.read(0, *rows_of(0)[:8])
        before = Metrics(rig.live, {}).render().decode()
        assert "twinproof_forecast" not in before
        rig.step()
        said = Metrics(replace(rig.live, forecasting=rig.forecasting), {}).render().decode()
    found = dict(line.rsplit(" ", 1) for line in said.splitlines() if line.startswith("twinproof_forecast"))
    assert float(found["twinproof_forecast_twins"]) == 1
    assert float(found["twinproof_forecast_stated_total"]) == 4
    assert float(found['twinproof_forecast_withheld_total{reason="too-short"}']) == 4
    assert float(found["twinproof_forecast_waiting"]) == float(found["twinproof_forecast_refused_total"]) == 0
    assert float(found["twinproof_forecast_behind_entries"]) == 4

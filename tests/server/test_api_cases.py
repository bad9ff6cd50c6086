"""The API shows an alarm's case, in lists and in states, and the node's metrics say what monitoring does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.builders import GATEWAY, START, TWIN
from tests.node.test_monitoring import planted, table
from tests.server.live_rig import MODEL_ID, live_rig, ok
from twinproof.server import shapes
from twinproof.server.metrics import Metrics
from twinproof.twin import alarm
from twinproof.twin.alarm import AlarmTransition, Case, Fleet, Rule, Severity, Test, Transition

CASE = Case("mewma", 2.5, float(START), (("T24", 1.5), ("P30", -1.0)), ("compressor",))
SHARED = Case("mewma", 0.5, float(START), (("T24", 0.5),), (), Fleet(3, 6))


def test_a_case_is_shown_with_its_alarm(tmp_path: Path) -> None:
    with live_rig(tmp_path / "node") as rig:
        rule = Rule("wear", "T24", Test.STRAYS, 1.0, Severity.CRITICAL, monitor=b"\xa0")
        rig.log.say(GATEWAY, MODEL_ID, alarm.RULE, alarm.format_rule(rule), at=START + 90)
        for about, case in ((TWIN, CASE), (MODEL_ID, SHARED)):
            raised = AlarmTransition("wear", Transition.RAISE, time=float(START), entry=3, case=case)
            rig.log.say(GATEWAY, about, alarm.ALARM, alarm.format_transition(raised), at=START + 91)
        rig.grow()
        client = rig.client()
        listed = ok(client, "/api/v1/alarms")
        shapes.AlarmList.model_validate(listed)
        items = {(each["sub"], each["rule"]): each for each in listed["items"]}
        found = items[TWIN, "wear"]
        assert (found["severity"], found["part_of"]) == ("critical", MODEL_ID)
        assert found["case"] == {
            "detector": "mewma", "score": 2.5, "since": float(START), "hints": ["compressor"], "fleet": None,
            "signals": [{"name": "T24", "part": 1.5}, {"name": "P30", "part": -1.0}],
        }  # fmt: skip
        assert items[MODEL_ID, "wear"]["case"]["fleet"] == {"strayed": 3, "twins": 6}
        assert (items[TWIN, "hot"]["case"], items[TWIN, "hot"]["part_of"]) == (None, None)
        state = ok(client, "/api/v1/state", sub=TWIN)
        shapes.State.model_validate(state)
        assert state["alarms"]["wear"]["case"] == found["case"]


def test_what_monitoring_does_is_measured(tmp_path: Path) -> None:
    with planted(tmp_path / "node") as plant:
        plant.describe(0)
        plant.rule()
        plant.feed(table())
        plant.feed([[float("nan"), 20.0]])
        plant.go()
        said = Metrics(replace(plant.live, monitoring=plant.monitoring), {}).render().decode()
    found = dict(line.rsplit(" ", 1) for line in said.splitlines() if line.startswith("twinproof_monitor"))
    assert float(found["twinproof_monitor_twins"]) == 1
    assert float(found["twinproof_monitor_stated_total"]) == 1
    assert float(found['twinproof_monitor_findings{reason="missing"}']) == 1
    assert float(found["twinproof_monitor_behind_entries"]) == float(found["twinproof_monitor_waiting"]) == 0

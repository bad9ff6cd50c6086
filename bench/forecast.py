"""Forecasting in a node: what one cycle of 10,000 twins costs, what intake feels of it, and what replay takes.

The model is of full size, trained on C-MAPSS FD001; twins fly its engines' flights. `cycle`: every twin reports one
flight; the clock covers reading them from the feed, features, forecasts, signing ES256, and the log's commit.
`latency`: how long intake takes to acknowledge 20 statements at a steady pace, with and without forecasting beside it.
`restart`: a start with 50 rows of each twin in the log, without a snapshot, which it writes, and with it; and a stop.
`drivers`: what naming what drove 10,000 forecasts, all of them of worn engines, adds to making them.
`replay`: the predictions of whole lives, by the auditor's plain Python, in processor time, signatures not counted.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.rul import DATA, read_fleet
from twinproof.exchange.cmapss.layout import CYCLE, FIELDS
from twinproof.node.forecasting import Forecasting
from twinproof.node.intake import Accepted
from twinproof.node.keyring import new_private_key
from twinproof.node.live import Live, open_live
from twinproof.node.node import init_node
from twinproof.node.service_keys import FORECAST
from twinproof.prognosis.audit import Audit, Outcome
from twinproof.prognosis.data import Fleet
from twinproof.prognosis.ensemble import Recipe
from twinproof.prognosis.live import LiveFleet
from twinproof.prognosis.model import Intervals, digest_model, format_model
from twinproof.prognosis.record import Row
from twinproof.prognosis.rows import RowReader, Wanted
from twinproof.prognosis.serve import load_predictor
from twinproof.prognosis.stated import state_forecast
from twinproof.prognosis.train import fit_model
from twinproof.proof.keys import PrivateKey
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, format_description
from twinproof.twin.grants import log_subject
from twinproof.twin.kinds import parse_payload
from twinproof.twin.prediction import PREDICTION, Read, format_prediction
from twinproof.twin.predictor import PREDICTOR, Predictor, Stage, Trained, format_predictor
from twinproof.twin.statement import Statement, parse_statement
from twinproof.twin.stream import StreamHead, sign_next

ORIGIN = "bench.example/log0"
OPERATOR = "https://bench.example/operator"
FLEET = "https://bench.example/engine/"
MODEL = "urn:bench:turbofan"
TWINS = 10_000
CYCLES = 8
"""The model speaks from the fifth on."""
REPLAYED = 20_000
BATCH = 1000
ROWS = 50
"""Of each twin, when restarts are measured."""
PACE = 20
"""Statements in a submission while latency is measured."""
SETTINGS = 3
INTERVALS = Intervals((), (50, 500, 950), ((-20.0, 0.0, 20.0),))


def payload(row: Row) -> bytes:
    """One flight, as the importer writes it."""
    values = (*row.settings, *row.signals)
    columns: list[tuple[str, str | None, list[float]]] = [(CYCLE.name, CYCLE.unit, [float(row.cycle)])]
    columns += [(field.name, field.unit, [value]) for field, value in zip(FIELDS, values, strict=True)]
    return format_columns(1_200_000_000 + 86_400 * row.cycle, columns)


class Script:
    """Signs for one party, stream by stream."""

    def __init__(self, issuer: str, key: PrivateKey) -> None:
        self.issuer = issuer
        self.key = key
        self.heads: dict[str, StreamHead] = {}

    def say(self, subject: str, content_type: str, said: bytes) -> Statement:
        raw = sign_next(
            self.heads.get(subject), self.key, issuer=self.issuer, subject=subject, content_type=content_type,
            payload=said, issued_at=int(time.time()),
        )  # fmt: skip
        statement = parse_statement(raw)
        self.heads[subject] = StreamHead(statement.seq, statement.digest)
        return statement


def take(live: Live, statements: Sequence[Statement]) -> None:
    for at in range(0, len(statements), BATCH):
        outcomes = live.node.intake.submit([each.raw for each in statements[at : at + BATCH]]).result(120)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes[0]


def make_model(fleet: Fleet, quick: bool) -> bytes:
    recipe = Recipe(trees=30, networks=1, steps=100) if quick else Recipe()
    return format_model(fit_model(fleet, INTERVALS, seed=0, recipe=recipe))


def in_use(model: bytes) -> Predictor:
    return Predictor(
        digest_model(model), Stage.ACTIVE, "{cycle}", 0.9, Trained(1, bytes(32), 100, 100, 20_000), CYCLE.name
    )


def serve(folder: Path, model: bytes, lives: Sequence[Sequence[Row]], twins: int) -> dict[str, Any]:
    """One node: cycles of all twins, then the pace with and without forecasting."""
    init_node(folder, ORIGIN, OPERATOR)
    with open_live(folder) as live:
        key = FORECAST.key(folder, ORIGIN)
        FORECAST.enable(live.node, key)
        live.node.blobs.put(model)
        operator = Script(OPERATOR, live.node.operator_key())
        about = log_subject(ORIGIN)
        head = live.node.intake.stream_head(OPERATOR, about)
        assert head is not None
        operator.heads[about] = head
        described = format_description(Description(model=MODEL, lifecycle=Lifecycle.IN_SERVICE))
        names = [f"{FLEET}{number}" for number in range(twins)]
        take(live, [operator.say(name, DESCRIPTION, described) for name in names])
        take(live, [operator.say(MODEL, PREDICTOR, format_predictor(in_use(model)))])
        task = Forecasting(live.node, live.feed, live.states, key, live.node.blobs, clock=time.time)
        assert task.step(), task.problem
        cycles = []
        for cycle in range(CYCLES):
            flights = [payload(lives[number % len(lives)][cycle]) for number in range(twins)]
            take(live, [operator.say(name, COLUMNS, flight) for name, flight in zip(names, flights, strict=True)])
            assert live.states.wait(live.feed.size, 300)
            stated, start, cpu = task.stated, time.perf_counter(), time.thread_time()
            assert task.step(), task.problem
            cycles.append((task.stated - stated, time.perf_counter() - start, time.thread_time() - cpu))
        assert [stated for stated, _, _ in cycles[4:]] == [twins] * (CYCLES - 4), cycles
        told = [each for each in cycles if each[0]]
        alone = pace(live, operator, names, lives)
        with_it = pace(live, operator, names, lives, task)
        restarted = restart(live, key, operator, names, lives)
        return {
            "twins": twins,
            "seconds_a_cycle_without_predictions": round(median(wall for _, wall, _ in cycles[:4]), 2),
            "seconds_a_cycle": round(median(wall for _, wall, _ in told), 2),
            "cpu_seconds_a_cycle_in_its_thread": round(median(cpu for _, _, cpu in told), 2),
            "predictions_per_second": round(twins / median(wall for _, wall, _ in told)),
            "ms_to_acknowledge_20": {"alone": alone, "beside_forecasting": with_it},
            "restart": restarted,
        }


def restart(
    live: Live, key: PrivateKey, operator: Script, names: Sequence[str], lives: Sequence[Sequence[Row]]
) -> dict[str, Any]:
    """Starts of forecasting after the twins have `ROWS` rows each: the last ones in one statement."""
    begun = CYCLES + 2
    for at in range(0, len(names), BATCH):
        said = []
        for number in range(at, min(at + BATCH, len(names))):
            rows = lives[number % len(lives)][begun:ROWS]
            said.append(operator.say(names[number], COLUMNS, many(rows)))
        take(live, said)
    assert live.states.wait(live.feed.size, 300)
    views = live.node.folder / "views"

    def new() -> Forecasting:
        return Forecasting(
            live.node, live.feed, live.states, key, live.node.blobs, clock=time.time, views=views,
        )  # fmt: skip

    assert (task := new()).step(), task.problem
    (views / "forecasts.bin").unlink(missing_ok=True)
    assert live.states.wait(live.feed.size, 300)
    thread = threading.Thread(target=(stopped := new()).step)
    thread.start()
    time.sleep(0.5)
    start = time.perf_counter()
    stopped.stop()
    thread.join()
    stopping = time.perf_counter() - start
    start, cpu = time.perf_counter(), time.thread_time()
    cold = new()
    assert cold.step(), cold.problem
    without = time.perf_counter() - start, time.thread_time() - cpu
    start, cpu = time.perf_counter(), time.thread_time()
    warm = new()
    assert warm.step(), warm.problem
    with_it = time.perf_counter() - start, time.thread_time() - cpu
    assert cold.twins == warm.twins == len(names)
    assert warm.stated == 0
    return {
        "rows_a_twin": ROWS - 1,
        "seconds_without_snapshot": round(without[0], 2),
        "cpu_seconds_without_snapshot": round(without[1], 2),
        "seconds_with_snapshot": round(with_it[0], 2),
        "cpu_seconds_with_snapshot": round(with_it[1], 2),
        "snapshot_bytes": (views / "forecasts.bin").stat().st_size,
        "seconds_until_a_stop_is_obeyed": round(stopping, 2),
    }


def many(rows: Sequence[Row]) -> bytes:
    """Several flights in one statement."""
    columns: list[tuple[str, str | None, list[float]]] = [(CYCLE.name, CYCLE.unit, [float(r.cycle) for r in rows])]
    values = zip(*((*row.settings, *row.signals) for row in rows), strict=True)
    columns += [(field.name, field.unit, list(found)) for field, found in zip(FIELDS, values, strict=True)]
    return format_columns(1_200_000_000 + 86_400 * rows[0].cycle, columns, step=86_400)


def drive(model: bytes, fleet: Fleet, twins: int) -> dict[str, float]:
    """Forecasts of worn engines, alone and with their drivers."""
    loaded = load_predictor(model)
    units = fleet.columns(loaded.model.settings, loaded.model.signals).units
    worn = [[row._replace(cycle=at) for at, row in enumerate(list(unit.rows())[-60:-5])] for unit in units]
    live = LiveFleet(loaded)
    slots = [live.add() for _ in range(twins)]
    for at in range(55):
        live.take(slots, [worn[slot % len(worn)][at] for slot in slots])
    start = time.process_time()
    live.forecasts(slots)
    alone = time.process_time() - start
    start = time.process_time()
    told = live.told(slots)
    return {
        "forecasts": twins,
        "with_drivers": sum(bool(drivers) for _, drivers in told),
        "cpu_seconds_alone": round(alone, 2),
        "cpu_seconds_with_drivers": round(time.process_time() - start, 2),
    }


def pace(
    live: Live, operator: Script, names: Sequence[str], lives: Sequence[Sequence[Row]], task: Forecasting | None = None
) -> dict[str, float]:
    """Milliseconds that intake takes for `PACE` flights, each followed, if wanted, by a round of forecasting."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.is_set() and task is not None:
            live.feed.wait(task.reached, 0.1)
            task.step()

    thread = threading.Thread(target=follow)
    if task is not None:
        thread.start()
    taken = []
    begun = CYCLES if task is None else CYCLES + 1
    for round_ in range(min(100, len(names) // PACE)):
        chosen = range(round_ * PACE, (round_ + 1) * PACE)
        said = [operator.say(names[n], COLUMNS, payload(lives[n % len(lives)][begun])) for n in chosen]
        start = time.perf_counter()
        take(live, said)
        taken.append(1000 * (time.perf_counter() - start))
        time.sleep(0.02)
    stop.set()
    if task is not None:
        thread.join()
    return {"median": round(median(taken), 2), "p95": round(quantiles(taken, n=20)[-1], 2)}


def replay(model: bytes, lives: Sequence[Sequence[Row]], wanted: int) -> dict[str, Any]:
    """Whole lives, predicted by the node's code and audited by the other implementation."""
    loaded, predictor = load_predictor(model), in_use(model)
    device, service = Script("urn:bench:device", new_private_key()), Script("urn:bench:forecast", new_private_key())
    fleet, reader = LiveFleet(loaded), Wanted(loaded.model.settings, loaded.model.signals, CYCLE.name)
    done = rows = 0
    seconds = 0.0
    for number, life in enumerate(lives):
        name, slot, twin = f"{FLEET}{number}", fleet.add(), RowReader(reader)
        history: list[Statement] = []
        for row in life:
            said = device.say(name, COLUMNS, payload(row))
            history.append(said)
            fleet.take([slot], twin.take(parse_payload(said)))
            reads = [Read(device.issuer, 0, said.seq, said.digest)]
            forecast, drivers = fleet.told([slot])[0]
            prediction = state_forecast(forecast, predictor, reads, len(history), drivers=drivers)
            if prediction is not None:
                history.append(service.say(name, PREDICTION, format_prediction(prediction)))
        parsed = [(index, each, parse_payload(each)) for index, each in enumerate(history)]
        audit = Audit({digest_model(model): model})
        audit.take(*parsed[0])
        audit._model(digest_model(model))  # reading the document is measured apart
        start = time.process_time()
        findings = [finding for each in parsed[1:] if (finding := audit.take(*each)) is not None]
        seconds += time.process_time() - start
        assert {finding.outcome for finding in findings} == {Outcome.OK}, findings
        done += len(findings)
        rows += len(life)
        if done >= wanted:
            break
    start = time.process_time()
    Audit({digest_model(model): model})._model(digest_model(model))
    reading = time.process_time() - start
    return {
        "predictions": done,
        "rows": rows,
        "cpu_seconds": round(seconds, 1),
        "predictions_per_cpu_second": round(done / seconds),
        "cpu_seconds_to_read_the_model": round(reading, 2),
        "all_bits_the_same": True,
    }


def run(quick: bool) -> dict[str, Any]:
    """All three."""
    fleet = read_fleet(DATA / "train_FD001.txt.gz", failed=True)
    model = make_model(fleet, quick)
    lives = [list(unit.rows()) for unit in fleet.units]
    with tempfile.TemporaryDirectory() as folder:
        served = serve(Path(folder) / "node", model, lives, 200 if quick else TWINS)
    return {
        "model_bytes": len(model),
        "cycle": served,
        "drivers": drive(model, fleet, 200 if quick else TWINS),
        "replay": replay(model, lives, 300 if quick else REPLAYED),
    }

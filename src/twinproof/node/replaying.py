"""Replays one prediction of this node's log: from the entries that it names and the model's blob, bit by bit.

    ForecastReplay(reader, states, blobs).judge(index)  ->  Finding: ok, differs or not replayable

What an auditor does with a bundle (prognosis/audit.py), done before anybody acts on the prediction. A replay is
bounded: who may predict cannot keep the node busy, or fill its memory, by naming a log's worth of readings.
"""

from __future__ import annotations

from typing import Final

from twinproof.errors import Corrupt, Malformed, NotFound, StorageFailed
from twinproof.log.reader import Reader
from twinproof.node.blobs import Blobs
from twinproof.node.service_keys import PATIENCE
from twinproof.node.statements import logged
from twinproof.prognosis.audit import Audit, Finding, Outcome
from twinproof.twin.columns import Columns
from twinproof.twin.kinds import parse_payload
from twinproof.twin.prediction import Prediction, parse_prediction
from twinproof.twin.statement import Statement
from twinproof.twin.stream import stream_prefix
from twinproof.views.state import StateView

MAX_STATEMENTS: Final = 50_000
"""Statements that a replay reads at most."""
MAX_BYTES: Final = 32 * 1024 * 1024
"""Of these statements."""
MAX_ROWS: Final = 100_000
"""Rows in them."""


class ForecastReplay:
    """For one node; keeps nothing, so that it may be called from any thread."""

    def __init__(self, reader: Reader, states: StateView, blobs: Blobs) -> None:
        self._reader = reader
        self._states = states
        self._blobs = blobs

    def judge(self, index: int) -> Finding:
        """About the prediction at `index`; raises `NotFound`, `Corrupt`, `Malformed` if there is none.

        Raises `StorageFailed` if the model cannot be read just now, or the states lag behind the log.
        """
        statement = logged(self._reader, index)
        prediction = parse_prediction(statement.payload)
        try:
            model = self._blobs.get(prediction.model)
        except NotFound:
            name = prediction.model.hex()
            why = f"the model {name} is not in the node's blobs; bring it with: twinproof predictor import FILE"
            return Finding(index, Outcome.NOT_REPLAYABLE, why, prediction.model)
        except Corrupt as problem:
            return Finding(index, Outcome.NOT_REPLAYABLE, str(problem), prediction.model)
        audit = Audit({prediction.model: model})
        too_much = self._read(audit, index, statement, prediction)
        if too_much:
            return Finding(index, Outcome.NOT_REPLAYABLE, too_much, prediction.model)
        for at in self._attestations(index, statement.subject):
            given = logged(self._reader, at)
            audit.begin(at, given, _payload(at, given))
        return audit.replay(index, prediction)

    def _attestations(self, index: int, subject: str) -> list[int]:
        """Entries before `index` that may begin an episode of the twin."""
        if not self._states.wait(index, PATIENCE):
            raise StorageFailed("the states lag behind the log, so the twin's episodes cannot be told")
        rows = self._states.query(
            "SELECT h.entry FROM history h JOIN twin t ON t.id = h.twin"
            " WHERE h.kind = 'attestation' AND t.sub = ? AND h.entry < ? ORDER BY h.entry",
            (subject, index),
        )
        return [entry for (entry,) in rows]

    def _read(self, audit: Audit, index: int, statement: Statement, prediction: Prediction) -> str:
        """Give the audit what the prediction names, as far as it is in the log before it; says so if it is too much."""
        count = sum(read.last - read.first + 1 for read in prediction.reads)
        if count > MAX_STATEMENTS:
            return f"it reads {count} statements, and more than {MAX_STATEMENTS} are not replayed here"
        size = rows = 0
        for read in prediction.reads:
            prefix = stream_prefix(read.issuer, statement.subject)
            for seq in range(read.first, read.last + 1):
                at = self._reader.find(prefix + seq.to_bytes(8, "big"))
                if at is None or at >= index:
                    break
                given = logged(self._reader, at)
                payload = _payload(at, given)
                size += len(given.raw)
                rows += _rows(payload)
                if size > MAX_BYTES or rows > MAX_ROWS:
                    return f"it reads more than {MAX_BYTES >> 20} MiB or {MAX_ROWS} rows, which are not replayed here"
                audit.keep(at, given, payload)
        return ""


def _rows(payload: object) -> int:
    if isinstance(payload, Columns):
        return payload.rows
    return len({reading.time for reading in payload}) if isinstance(payload, list) else 0


def _payload(index: int, statement: Statement) -> object:
    try:
        return parse_payload(statement)
    except Malformed as problem:
        raise Corrupt(f"entry {index} is not of its kind any more: {problem}; run twinproof fsck") from problem

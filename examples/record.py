"""Record this machine's own load as signed statements: a whole device in 40 lines.

    twinproof key new laptop.pem --iss urn:dev:laptop
    twinproof grant laptop.json --can record,describe --twin urn:asset:laptop --folder ./node
    python examples/record.py http://127.0.0.1:8600 laptop.pem urn:dev:laptop urn:asset:laptop

Pull the cable, kill it, switch the machine off, start it again: the log gets each closed batch once, in order.
"""

from __future__ import annotations

import argparse
import os
import threading
from pathlib import Path

from twinproof.edge import HttpSink, Outbox, Recorder
from twinproof.proof.keys import PrivateKey

UNITS = {"load/1min": "1", "load/5min": "1"}


def main(arguments: list[str] | None = None) -> None:
    """Record until interrupted, or until the given number of samples is reached."""
    parser = argparse.ArgumentParser(description="Record this machine's load.")
    parser.add_argument("url", help="a running node, such as http://127.0.0.1:8600")
    parser.add_argument("key", type=Path, help="the device's key, a PEM file")
    parser.add_argument("issuer", help="IRI of the device")
    parser.add_argument("twin", help="IRI of what is measured")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between samples")
    parser.add_argument("--samples", type=int, help="stop after so many")
    options = parser.parse_args(arguments)

    key = PrivateKey.from_pem(options.key.read_bytes())
    pause = threading.Event()
    taken = 0
    with (
        Outbox(options.key.with_suffix(".outbox")) as outbox,
        Recorder(key, options.issuer, outbox, HttpSink(options.url), interval=10.0) as recorder,
    ):
        machine = recorder.twin(options.twin, units=UNITS)
        try:
            while options.samples is None or taken < options.samples:
                one, five, _ = os.getloadavg()
                machine.record({"load/1min": one, "load/5min": five})
                taken += 1
                pause.wait(options.every)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()

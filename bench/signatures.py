"""Signatures per second: PyNaCl against cryptography for Ed25519, and P-256 and ML-DSA-44, on 1 and 2 threads.

Every round gives each case the same slice of time in turn, so that a busy moment of the machine
falls on all of them; the reported rate is the median of the rounds. Each call works on one message
of `MESSAGE_SIZE` bytes with a loaded key, as intake does.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from statistics import median
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from twinproof.proof import keys
from twinproof.proof.keys import EDDSA, ES256, PrivateKey

MESSAGE_SIZE = 512
"""Bytes: a small statement."""
BATCH = 8
"""Calls between two looks at the clock."""

Call = Callable[[], object]


def cases() -> dict[str, Call]:
    """What is measured, by name."""
    message = bytes(MESSAGE_SIZE)
    ed, p256 = PrivateKey(EDDSA, b"\x01" * 32), PrivateKey(ES256, b"\x02" * 32)
    ed_signature, p256_signature = ed.sign(message), p256.sign(message)
    openssl = ed25519.Ed25519PrivateKey.from_private_bytes(ed.seed)
    openssl_public = openssl.public_key()
    seed = b"\x03" * 32
    ml_dsa_public, ml_dsa_signature = keys.ml_dsa_44_public(seed), keys.sign_ml_dsa_44(seed, message)
    return {
        "ed25519 verify pynacl": lambda: keys.verify_ed25519(ed.public.raw, message, ed_signature),
        "ed25519 verify cryptography": lambda: openssl_public.verify(ed_signature, message),
        "ed25519 sign pynacl": lambda: ed.sign(message),
        "ed25519 sign cryptography": lambda: openssl.sign(message),
        "p256 verify": lambda: keys.verify_es256(p256.public.raw, message, p256_signature),
        "p256 sign": lambda: p256.sign(message),
        "ml-dsa-44 verify": lambda: keys.verify_ml_dsa_44(ml_dsa_public, message, ml_dsa_signature),
        "ml-dsa-44 sign": lambda: keys.sign_ml_dsa_44(seed, message),
    }


def _count(call: Call, until: float) -> int:
    done = 0
    while time.perf_counter() < until:
        for _ in range(BATCH):
            call()
        done += BATCH
    return done


def rate(call: Call, seconds: float, threads: int, pool: ThreadPoolExecutor) -> float:
    """Calls per second of `threads` threads together."""
    start = time.perf_counter()
    done = sum(pool.map(lambda _: _count(call, start + seconds), range(threads)))
    return done / (time.perf_counter() - start)


def run(quick: bool) -> dict[str, Any]:
    """Rates in calls per second, by case and number of threads."""
    rounds, seconds = (3, 0.05) if quick else (7, 0.3)
    measured: dict[str, dict[str, list[float]]] = {}
    with ThreadPoolExecutor(2) as pool:
        for _ in range(rounds):
            for name, call in cases().items():
                for threads in (1, 2):
                    rates = measured.setdefault(name, {}).setdefault(str(threads), [])
                    rates.append(rate(call, seconds, threads, pool))
    per_second = {name: {n: round(median(rates)) for n, rates in by.items()} for name, by in measured.items()}
    return {
        "bench": "signatures",
        "unit": "calls per second, by number of threads",
        "message_bytes": MESSAGE_SIZE,
        "rounds": rounds,
        "seconds_per_round": seconds,
        "per_second": per_second,
        "pynacl_over_cryptography": {
            act: round(per_second[f"ed25519 {act} pynacl"]["1"] / per_second[f"ed25519 {act} cryptography"]["1"], 2)
            for act in ("verify", "sign")
        },
        "versions": {name: version(name) for name in ("pynacl", "cryptography")},
    }


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv[1:])))

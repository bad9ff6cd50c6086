"""What is said about the log itself stands in every bundle: whatever intake takes there, every verifier must take."""

from __future__ import annotations

import pytest

from tests.builders import (
    GATEWAY,
    INSPECTOR,
    LOG_KEY,
    MODEL,
    ORIGIN,
    TWIN,
    Log,
    policy_of,
)
from tests.node.bench import KEYS, Bench
from twinproof.errors import OutOfScope, VerificationFailed
from twinproof.node.evidence import EvidenceBuilder
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.twin.description import Description
from twinproof.twin.grants import Capability, Scope
from twinproof.verify import verify_bundle

EVERYWHERE = Scope("prefix", "")


def modelled_log() -> Log:
    """The log declares a model; somebody whose grant is for the log itself attests something about it."""
    log = Log()
    log.grant(GATEWAY, {Capability.DESCRIBE, Capability.RECORD, Capability.ADMINISTER}, EVERYWHERE)
    log.grant(INSPECTOR, {Capability.ATTEST}, Scope("twin", log.subject))
    log.grant(INSPECTOR, {Capability.ATTEST}, Scope("model", MODEL))
    log.describe(GATEWAY, Description(model=MODEL), subject=log.subject)
    log.attest(INSPECTOR, "urn:example:audit", subject=log.subject)
    log.record(GATEWAY, 1.0)
    return log


@pytest.mark.parametrize("scope", [EVERYWHERE, Scope("prefix", "https://twin.example/"), Scope("model", MODEL)])
def test_a_grant_on_twins_does_not_reach_the_log(scope: Scope) -> None:
    log = Log()
    log.grant(GATEWAY, {Capability.DESCRIBE, Capability.RECORD, Capability.ADMINISTER}, EVERYWHERE)
    log.grant(INSPECTOR, {Capability.ATTEST}, scope)
    log.describe(GATEWAY, Description(model=MODEL), subject=log.subject)
    log.record(GATEWAY, 1.0)
    log.attest(INSPECTOR, "urn:example:audit", subject=log.subject)
    with Bench(script=log) as bench:
        bench.take(*log.raws[1:-1])
        assert isinstance(bench.refusal(log.raws[-1]), OutOfScope)
        evidence = EvidenceBuilder(bench.reader, ORIGIN, PrivateKey(EDDSA, LOG_KEY.seed))
        assert verify_bundle(evidence.bundle(TWIN, "tests"), policy_of(*KEYS)).subject == TWIN
    with pytest.raises(VerificationFailed, match="no grant to attest"):
        verify_bundle(log.bundle_bytes(), log.policy())


def test_a_model_of_the_log_spoils_no_bundle() -> None:
    log = modelled_log()
    with Bench(script=log) as bench:
        bench.take(*log.raws[1:])
        assert bench.findings() == []
        evidence = EvidenceBuilder(bench.reader, ORIGIN, PrivateKey(EDDSA, LOG_KEY.seed))
        for subject in (TWIN, log.subject):
            history = verify_bundle(evidence.bundle(subject, "tests"), policy_of(*KEYS))
            assert history.subject == subject


def test_a_model_of_the_log_is_none_of_the_twin() -> None:
    log = modelled_log()
    log.attest(INSPECTOR, "urn:example:audit")
    with pytest.raises(VerificationFailed, match=r"entry 7 .*no grant to attest") as failure:
        verify_bundle(log.bundle_bytes(), log.policy())
    assert failure.value.step == 7


def test_a_refused_description_declares_no_model() -> None:
    log = Log()
    log.grant(INSPECTOR, {Capability.ATTEST}, Scope("model", MODEL))
    log.describe(INSPECTOR, Description(model=MODEL), subject=log.subject)
    log.attest(INSPECTOR, "urn:example:audit", subject=log.subject)
    log.record(GATEWAY, 1.0)
    with pytest.raises(VerificationFailed) as failure:
        verify_bundle(log.bundle_bytes(), log.policy())
    assert [problem[:7] for problem in failure.value.problems] == ["entry 2", "entry 3", "entry 4"]

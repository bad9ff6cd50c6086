"""Money of an agreement: what arrives is credited, what is owed can be withdrawn, and foreign code gains nothing."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.contracts.agreement_rig import (
    ARBITER,
    IRI,
    NATIVE,
    NOBODY,
    OPERATOR,
    OTHER_IRI,
    PART_NUMBER,
    PRICE,
    RECEIVE,
    STRANGER,
    SUPPLIER,
    Rig,
    State,
    Terms,
    twin,
)
from tests.contracts.kit import Deployed, refused
from twinproof.chain.hexadecimal import keccak
from twinproof.errors import Reverted
from twinproof.twin.prediction import float_bits

HONEST, ANSWERS_FALSE, ANSWERS_NOTHING, TAKES_FEE, REVERTS, VANISHES, BLOATS = range(7)
MAX: Final = (1 << 128) - 1


@pytest.fixture
def rig() -> Rig:
    """Everything deployed."""
    return Rig.fresh()


def _held(rig: Rig) -> int:
    """Tokens in the agreements' contract."""
    amount: int = rig.token.call("balanceOf", rig.agreement.address)
    return amount


# --- proposing and agreeing ----------------------------------------------------------------


def test_a_proposal_tells_its_terms_and_keeps_their_hash(rig: Rig) -> None:
    terms = rig.terms()
    done = rig.send(OPERATOR, "propose", terms, [twin(IRI), twin(OTHER_IRI)], value=5)
    (name, told), deposited = done.events
    assert (name, told["id"], told["operator"], told["supplier"]) == (
        "Proposed", 1, OPERATOR.address, SUPPLIER.address
    )  # fmt: skip
    assert told["twins"] == (twin(IRI), twin(OTHER_IRI))
    assert deposited == ("Deposited", {"id": 1, "from": OPERATOR.address, "amount": 5})
    data = rig.agreement.encode("agree", 1, terms)[4 + 32 :]
    assert len(data) == 22 * 32
    assert rig.agreement.call("agreementOf", 1) == (keccak(data), (5, 0, False, False, False, False))
    assert rig.propose(terms) == 2


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"supplier": NOBODY}, "supplier"),
        ({"supplier": OPERATOR.address}, "supplier"),
        ({"arbiter": OPERATOR.address}, "arbiter"),
        ({"arbiter": SUPPLIER.address}, "arbiter"),
        ({"anchors": STRANGER.address}, "anchors"),
        ({"passports": STRANGER.address}, "passports"),
        ({"currency": STRANGER.address}, "currency"),
        ({"below": 0}, "below"),
        ({"below": float_bits(1.0) | 1 << 63}, "below"),
        ({"below": 0x7FF0 << 48}, "below"),
        ({"coverage": float_bits(1.0) + 1}, "coverage"),
        ({"price": 0}, "price"),
        ({"max_age": 0}, "maxAge"),
        ({"accept_within": 0}, "acceptWithin"),
        ({"ship_within": 0}, "shipWithin"),
        ({"receive_within": 0}, "receiveWithin"),
        ({"install_within": 0}, "installWithin"),
        ({"dispute_within": 0}, "disputeWithin"),
    ],
)
def test_terms_that_cannot_work_are_not_proposed(rig: Rig, changes: dict[str, Any], name: str) -> None:
    with refused(f"BadTerms({name!r})".replace("'", '"')):
        rig.propose(rig.terms(**changes))


def test_a_proposal_is_the_operators_and_names_each_twin_once(rig: Rig) -> None:
    terms = rig.terms()
    with refused("NotAllowed"):
        rig.send(SUPPLIER, "propose", terms, [twin()])
    for twins, bad in (([], bytes(32)), ([twin(), bytes(32)], bytes(32)), ([twin(), twin()], twin())):
        with refused(f"BadTwin(0x{bad.hex()})"):
            rig.send(OPERATOR, "propose", terms, twins)
    with refused(f"WrongValue({PRICE}, 0)"):
        rig.propose(rig.terms(currency=rig.token.address), value=PRICE)


@pytest.mark.parametrize("function", ["agree", "reclaim", "suspend", "end"])
def test_who_may_change_an_agreement(rig: Rig, function: str) -> None:
    may = {"agree": {SUPPLIER}, "reclaim": {OPERATOR}}.get(function, {OPERATOR, SUPPLIER})
    arguments: dict[str, tuple[object, ...]] = {"reclaim": (1,), "suspend": (True,)}
    terms = rig.terms()
    for sender in (OPERATOR, SUPPLIER, ARBITER, STRANGER):
        agreement = rig.propose(terms, value=1)
        call = (agreement, terms, *arguments.get(function, ()))
        if sender in may:
            assert len(rig.send(sender, function, *call).events) == 1
            continue
        with refused("NotAllowed"):
            rig.send(sender, function, *call)


def test_an_ended_agreement_takes_nothing_more(rig: Rig) -> None:
    terms = rig.terms()
    for party in (OPERATOR, SUPPLIER):
        agreement = rig.propose(terms, value=PRICE)
        rig.send(party, "end", agreement, terms)
        with refused("AgreementEnded"):
            rig.send(SUPPLIER, "agree", agreement, terms)
        with refused("AgreementEnded"):
            rig.send(OPERATOR, "deposit", agreement, terms, 1, value=1)
        for other in (OPERATOR, SUPPLIER):
            with refused("AgreementEnded"):
                rig.send(other, "end", agreement, terms)
            with refused("AgreementEnded"):
                rig.send(other, "suspend", agreement, terms, False)
        rig.send(OPERATOR, "reclaim", agreement, terms, PRICE)
    assert rig.owed(OPERATOR) == 2 * PRICE


def test_a_supplier_agrees_once(rig: Rig) -> None:
    terms = rig.terms()
    agreement = rig.active(terms)
    with refused("AlreadyAgreed"):
        rig.send(SUPPLIER, "agree", agreement, terms)
    with refused("WrongTerms"):
        rig.send(SUPPLIER, "agree", agreement + 1, terms)


def test_terms_have_one_encoding(rig: Rig) -> None:
    """Bits above an address are not ignored: another encoding of the same terms is refused everywhere."""
    terms = rig.terms()
    agreement = rig.propose(terms)
    dirty = bytearray(rig.agreement.encode("agree", agreement, terms))
    dirty[4 + 32] = 1
    outcome = rig.world.transact(SUPPLIER.address, rig.agreement.address, bytes(dirty), 0)
    assert not outcome.succeeded
    proposal = bytearray(rig.agreement.encode("propose", terms, [twin()]))
    proposal[4 + 19 * 32] = 1
    assert not rig.world.transact(OPERATOR.address, rig.agreement.address, bytes(proposal), 0).succeeded


# --- escrow --------------------------------------------------------------------------------


def test_coin_is_credited_as_it_was_sent(rig: Rig) -> None:
    terms = rig.terms()
    agreement = rig.active(terms, escrow=0)
    for amount, value in ((5, 4), (5, 6), (5, 0), (0, 5)):
        with refused(f"WrongValue({value}, {amount})"):
            rig.send(STRANGER, "deposit", agreement, terms, amount, value=value)
    with refused("NothingArrived"):
        rig.send(STRANGER, "deposit", agreement, terms, 0)
    rig.send(STRANGER, "deposit", agreement, terms, 5, value=5)
    assert rig.free(agreement) == 5 == rig.world.balance(rig.agreement.address)
    with pytest.raises(Reverted):
        rig.agreement.send(OPERATOR, "withdraw", NATIVE, value=1)
    assert not rig.world.transact(OPERATOR.address, rig.agreement.address, b"", 1).succeeded


@pytest.mark.parametrize(
    ("manner", "credited"),
    [(HONEST, 100), (ANSWERS_NOTHING, 100), (TAKES_FEE, 90)],
    ids=["honest", "answers-nothing", "takes-fee"],
)
def test_of_a_token_what_arrived_is_credited(rig: Rig, manner: int, credited: int) -> None:
    terms = rig.terms(currency=rig.token.address)
    agreement = rig.active(terms, escrow=0)
    with refused("WrongValue(1, 0)"):
        rig.send(OPERATOR, "deposit", agreement, terms, 100, value=1)
    rig.token.send(OPERATOR, "behave", manner)
    rig.fund(agreement, terms, 100)
    assert rig.free(agreement) == credited == _held(rig)


@pytest.mark.parametrize(
    ("manner", "error"),
    [(ANSWERS_FALSE, "SafeERC20FailedOperation("), (VANISHES, "NothingArrived("), (REVERTS, "Error("), (BLOATS, "")],
    ids=["answers-false", "vanishes", "reverts", "burns-the-holding"],
)
def test_a_token_that_does_not_pay_is_not_credited(rig: Rig, manner: int, error: str) -> None:
    terms = rig.terms(currency=rig.token.address)
    agreement = rig.active(terms, escrow=50)
    rig.token.send(OPERATOR, "behave", manner)
    with pytest.raises(Reverted) as caught:
        rig.fund(agreement, terms, 100)
    assert caught.value.reason.startswith("NothingArrived(" if manner == BLOATS else error) or manner == REVERTS
    assert rig.free(agreement) == 50 == _held(rig)


def test_free_escrow_is_the_operators_and_reserved_escrow_is_not(rig: Rig) -> None:
    order, _, terms = rig.bring(State.PLACED)
    agreement = order >> 32
    with refused(f"InsufficientEscrow({9 * PRICE}, {9 * PRICE + 1})"):
        rig.send(OPERATOR, "reclaim", agreement, terms, 9 * PRICE + 1)
    rig.send(OPERATOR, "reclaim", agreement, terms, 9 * PRICE)
    assert (rig.owed(OPERATOR), rig.free(agreement)) == (9 * PRICE, 0)
    before = rig.world.balance(OPERATOR.address)
    rig.send(OPERATOR, "withdraw", NATIVE)
    assert rig.world.balance(OPERATOR.address) == before + 9 * PRICE
    assert rig.world.balance(rig.agreement.address) == PRICE
    with refused("NothingOwed"):
        rig.send(OPERATOR, "withdraw", NATIVE)


def test_escrow_counts_to_2_to_the_128_and_a_refund_beyond_goes_to_the_operator(rig: Rig) -> None:
    """Only a token that is minted without bound gets there; its orders end all the same."""
    terms = rig.terms(currency=rig.token.address)
    agreement = rig.active(terms, escrow=MAX)
    with refused("NothingArrived"):
        rig.fund(agreement, terms, 1)
    order = rig.order(agreement, terms)
    rig.fund(agreement, terms, PRICE)
    assert rig.free(agreement) == MAX
    rig.send(OPERATOR, "cancelOrder", order, terms)
    assert (rig.free(agreement), rig.owed(OPERATOR, terms.currency)) == (MAX, PRICE)


# --- withdrawing ---------------------------------------------------------------------------


def _paid(rig: Rig, terms: Terms) -> int:
    """An order of these terms, fulfilled."""
    agreement = rig.active(terms)
    order = rig.order(agreement, terms)
    token = rig.shipped(order, terms)
    rig.send(STRANGER, "confirmInstallation", order, terms, rig.logged(rig.installation(order, token)))
    return order


def test_a_supplier_withdraws_tokens(rig: Rig) -> None:
    terms = rig.terms(currency=rig.token.address)
    _paid(rig, terms)
    done = rig.send(SUPPLIER, "withdraw", terms.currency)
    assert done.events == [
        ("Withdrawn", {"account": SUPPLIER.address, "currency": terms.currency, "amount": PRICE})
    ]  # fmt: skip
    assert rig.token.call("balanceOf", SUPPLIER.address) == PRICE
    assert (rig.owed(SUPPLIER, terms.currency), _held(rig)) == (0, 9 * PRICE)


@pytest.mark.parametrize("manner", [ANSWERS_FALSE, REVERTS], ids=["answers-false", "reverts"])
def test_a_token_that_refuses_keeps_the_debt_and_other_currencies_work(rig: Rig, manner: int) -> None:
    _paid(rig, rig.terms())
    terms = rig.terms(currency=rig.token.address, log_id=rig.log_id)
    _paid(rig, terms)
    rig.token.send(STRANGER, "behave", manner)
    with pytest.raises(Reverted):
        rig.send(SUPPLIER, "withdraw", terms.currency)
    rig.send(SUPPLIER, "withdraw", NATIVE)
    rig.token.send(STRANGER, "behave", HONEST)
    rig.send(SUPPLIER, "withdraw", terms.currency)
    assert rig.token.call("balanceOf", SUPPLIER.address) == PRICE


def _party(rig: Rig) -> Deployed:
    """A wallet with coin."""
    party = rig.world.deploy("HostileParty")
    rig.world.transact(OPERATOR.address, party.address, b"", 100 * PRICE)
    return party


def _run(rig: Rig, party: Deployed, function: str, *arguments: object, value: int = 0) -> None:
    party.send(STRANGER, "run", rig.agreement.address, value, rig.agreement.encode(function, *arguments))


def test_contracts_are_parties_too(rig: Rig) -> None:
    """An operator that is a wallet."""
    wallet = _party(rig)
    terms = rig.terms(operator=wallet.address)
    _run(rig, wallet, "propose", terms, [twin()], value=5 * PRICE)
    rig.send(SUPPLIER, "agree", 1, terms)
    order = rig.order(1, terms)
    _run(rig, wallet, "cancelOrder", order, terms)
    _run(rig, wallet, "reclaim", 1, terms, 5 * PRICE)
    before = rig.world.balance(wallet.address)
    _run(rig, wallet, "withdraw", NATIVE)
    assert rig.world.balance(wallet.address) == before + 5 * PRICE
    assert rig.world.balance(rig.agreement.address) == 0


def test_a_receiver_that_rejects_coin_harms_only_itself(rig: Rig) -> None:
    party = _party(rig)
    terms = rig.terms(operator=party.address)
    _run(rig, party, "propose", terms, [twin()], value=PRICE)
    _run(rig, party, "reclaim", 1, terms, PRICE)
    party.send(STRANGER, "setRejects", True)
    with refused("PaymentRefused"):
        _run_plain(rig, party)
    _paid(rig, rig.terms())
    rig.send(SUPPLIER, "withdraw", NATIVE)
    party.send(STRANGER, "setRejects", False)
    _run(rig, party, "withdraw", NATIVE)


def _run_plain(rig: Rig, party: Deployed) -> None:
    """Withdraw through the wallet, which hands the refusal on; read as the agreement's error."""
    data = party.encode("run", rig.agreement.address, 0, rig.agreement.encode("withdraw", NATIVE))
    outcome = rig.world.transact(STRANGER.address, party.address, data, 0)
    assert not outcome.succeeded
    raise Reverted(rig.agreement.error(outcome.output), outcome.output)


# --- reentrancy ----------------------------------------------------------------------------

GUARDED: Final = "ReentrancyGuardReentrantCall("


def _calls(rig: Rig, terms: Terms, order: int) -> dict[str, bytes]:
    """Every function that changes something, from the outside."""
    proof = rig.proof(700_000)
    agreement = order >> 32
    encode = rig.agreement.encode
    found = {
        "propose": encode("propose", terms, [twin()]),
        "deposit": encode("deposit", agreement, terms, 1),
        "withdraw": encode("withdraw", terms.currency),
        "order": encode("order", agreement, terms, proof),
        "confirmInstallation": encode("confirmInstallation", order, terms, proof),
        "agree": encode("agree", agreement, terms),
        "end": encode("end", agreement, terms),
        "suspend": encode("suspend", agreement, terms, True),
        "reclaim": encode("reclaim", agreement, terms, 1),
        "ship": encode("ship", order, terms, 1),
        "resolve": encode("resolve", order, terms, 1),
    }
    for name in ("acceptOrder", "receivePart", "cancelOrder", "dispute", "expire"):
        found[name] = encode(name, order, terms)
    changing = {
        member.name
        for member in rig.agreement.artifact.members["function"]
        if member.name not in VIEWS
    }  # fmt: skip
    assert set(found) == changing
    return found


VIEWS: Final = {
    "CLOCK_TOLERANCE", "OFFER_TOLERANCE", "owed", "agreementOf", "orderOf", "episodeOf", "servedBy", "orderKey"
}  # fmt: skip


def test_a_token_cannot_call_back(rig: Rig) -> None:
    """Neither from a deposit, where a nested one would be credited twice, nor from a withdrawal."""
    terms = rig.terms(currency=rig.token.address)
    order = _paid(rig, terms)
    agreement = order >> 32
    start = rig.snapshot()
    for name, data in _calls(rig, terms, order).items():
        rig.revert(start)
        rig.token.send(STRANGER, "setHook", rig.agreement.address, data)
        rig.fund(agreement, terms, 100)
        assert not rig.token.call("hookPassed"), name
        assert rig.agreement.error(rig.token.call("hookAnswer")).startswith(GUARDED), name
        assert rig.free(agreement) == 9 * PRICE + 100
        rig.send(SUPPLIER, "withdraw", terms.currency)
        assert rig.agreement.error(rig.token.call("hookAnswer")).startswith(GUARDED), name
        assert rig.token.call("balanceOf", SUPPLIER.address) == PRICE


def test_a_receiver_cannot_call_back(rig: Rig) -> None:
    party = _party(rig)
    terms = rig.terms(operator=party.address)
    _run(rig, party, "propose", terms, [twin()], value=5 * PRICE)
    _run(rig, party, "reclaim", 1, terms, PRICE)
    start = rig.snapshot()
    for name, data in _calls(rig, terms, 1 << 32).items():
        rig.revert(start)
        party.send(STRANGER, "setHook", rig.agreement.address, data)
        _run(rig, party, "withdraw", NATIVE)
        assert not party.call("hookPassed"), name
        assert rig.agreement.error(party.call("hookAnswer")).startswith(GUARDED), name
        assert rig.world.balance(rig.agreement.address) == 4 * PRICE
        assert rig.agreement.call("owed", party.address, NATIVE) == 0


# --- broken passports ----------------------------------------------------------------------


@pytest.mark.parametrize("manner", range(1, 6), ids=["reverts", "burns-gas", "bloats", "short", "wide"])
@pytest.mark.parametrize("received", [False, True], ids=["shipped", "received"])
def test_orders_end_under_a_broken_passport(rig: Rig, manner: int, received: bool) -> None:
    passports = rig.world.deploy("HostilePassport")
    terms = rig.terms(passports=passports.address)
    agreement = rig.active(terms)
    order = rig.order(agreement, terms)
    rig.send(SUPPLIER, "acceptOrder", order, terms)
    expires = rig.world.time + RECEIVE + 10
    passports.send(STRANGER, "set", 7, SUPPLIER.address, keccak(PART_NUMBER.encode()), OPERATOR.address, expires)
    rig.send(SUPPLIER, "ship", order, terms, 7)
    if received:
        passports.send(STRANGER, "set", 7, OPERATOR.address, bytes(32), NOBODY, 0)
        rig.send(STRANGER, "receivePart", order, terms)
        rig.send(OPERATOR, "dispute", order, terms)
    passports.send(STRANGER, "behave", manner)
    while rig.seen(order).state != State.RESOLVED:
        rig.until(order)
        rig.send(STRANGER, "expire", order, terms)
    assert rig.owed(SUPPLIER) == (PRICE if received else PRICE // 2)


def test_a_caller_cannot_blind_the_contract_by_little_gas(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    order, token, terms = rig.bring(State.SHIPPED)
    rig.passports.send(OPERATOR, "accept", token)
    rig.until(order)
    start = rig.snapshot()
    seen = set()
    for gas in (*range(60_000, 300_000, 20_000), 600_000):
        rig.revert(start)
        rig.until(order)
        monkeypatch.setattr("tests.contracts.kit.GAS", gas)
        try:
            rig.send(OPERATOR, "expire", order, terms)
        except Reverted as refusal:
            seen.add(refusal.reason.partition("(")[0])
        else:
            seen.add("went through")
        monkeypatch.undo()
        assert rig.seen(order).state in (State.SHIPPED, State.RECEIVED)
    assert {"NotEnoughGas", "went through"} <= seen

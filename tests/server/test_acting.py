"""Acting by the API: from a part's passport to an order that is paid, by two parties whose accounts one node holds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from tests.builders import TWIN
from tests.server.parties_rig import HOUR, NUMBER, PART, POOR, PRICE, SPARE, SUPPLIER, TECHNICIAN, Parties, parties_rig
from twinproof.chain.parts import token_id_of
from twinproof.chain.sender import Estimate
from twinproof.errors import ChainUnreachable, NotFound
from twinproof.node.oidc import Bearer
from twinproof.node.tokens import EVERYTHING, OPERATE
from twinproof.node.transactions import Desk, Plan
from twinproof.server import ledger_shapes as shapes
from twinproof.server.access import Access, Principal
from twinproof.server.api import prognosis
from twinproof.twin.installation import INSTALLATION, Installation, format_installation

TRANSACTIONS = "/api/v1/transactions"
IDS = count()


@pytest.fixture(scope="module")
def us(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parties]:
    with parties_rig(tmp_path_factory.mktemp("parties") / "node") as made:
        yield made


@pytest.fixture(scope="module")
def client(us: Parties) -> TestClient:
    return us.client("all", "operate")


def ask(client: TestClient, action: str, by: str, *, dry: bool = False, id_: str | None = None, sign: str = "node",
        **arguments: Any) -> Any:  # fmt: skip
    question: dict[str, Any] = {"action": action, "arguments": arguments, "from": by, "sign": sign, "dry": dry}
    if not dry and sign == "node":
        question["id"] = id_ or f"test-{next(IDS):08}"
    return client.post(TRANSACTIONS, json=question)


def do(client: TestClient, action: str, by: str, **arguments: Any) -> Any:
    """Dry first, which sends nothing; then for good. The transaction's outcome."""
    tried = ask(client, action, by, dry=True, **arguments)
    assert tried.status_code == 200, tried.text
    shapes.TransactionAnswer.model_validate(tried.json())
    assert tried.json()["hash"] is None
    sent = ask(client, action, by, **arguments)
    assert sent.status_code == 200, sent.text
    body = sent.json()
    assert (body["to"], body["data"], body["value"]) == tuple(tried.json()[name] for name in ("to", "data", "value"))
    outcome = get(client, f"{TRANSACTIONS}/{body['hash']}")
    shapes.TransactionStatus.model_validate(outcome)
    assert (outcome["state"], outcome["final"], outcome["from"]) == ("mined", True, by)
    assert int(outcome["fee_wei"]) > 0
    return body


def refused(answer: Any, status: int = 409) -> str:
    assert answer.status_code == status, answer.text
    detail: str = answer.json()["detail"]
    return detail


def get(client: TestClient, path: str, **query: Any) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def order_of(client: TestClient, key: str) -> Any:
    body = get(client, f"/api/v1/orders/{key}")
    shapes.OrderDetail.model_validate(body)
    return body


def open_to(body: Any) -> set[tuple[str, str | None]]:
    """(action, who) of what is open."""
    return {(one["action"], who) for one in body["actions"] for who in (one["by"] or [None])}


@pytest.fixture(scope="module")
def token(us: Parties, client: TestClient) -> str:
    """The supplier's part, minted by the API."""
    birth = us.describe(PART, partNumber=NUMBER)
    assert "NotAccredited" in refused(
        ask(client, "part.mint", us.supplier, part_number=NUMBER, serial="SN-1", twin=PART, entry=birth)
    )
    do(client, "part.accredit", us.operator, manufacturer=us.supplier, accredited=True)
    do(client, "part.mint", us.supplier, part_number=NUMBER, serial="SN-1", twin=PART, entry=birth)
    us.follow()
    return str(token_id_of(SUPPLIER.address, NUMBER, "SN-1"))


@pytest.fixture(scope="module")
def story(us: Parties, client: TestClient, token: str) -> list[str]:
    """The whole life of an order; the names of its chapters as they were checked."""
    told: list[str] = []
    agree(us, client)
    told.append("agreed")
    place(us, client)
    told.append("placed")
    deliver(us, client, token)
    told.append("delivered")
    install(us, client, token)
    told.append("installed")
    expire(us, client)
    told.append("expired")
    return told


def agree(us: Parties, client: TestClient) -> None:
    assert us.propose() == 1
    us.follow()
    (proposed,) = get(client, "/api/v1/agreements")["items"]
    assert (proposed["state"], proposed["twins"], proposed["part_number"]) == ("proposed", [TWIN], NUMBER)
    assert ("agreement.agree", us.supplier) in open_to(proposed)
    assert "NotAllowed" in refused(ask(client, "agreement.agree", us.operator, agreement="1"))
    do(client, "agreement.agree", us.supplier, agreement="1")
    body = do(client, "agreement.fund", us.operator, agreement="1", amount=str(10**18))
    assert (body["value"], "1 coins" in body["says"]) == (str(10**18), True)
    us.follow()
    body = get(client, "/api/v1/agreements")
    shapes.AgreementList.model_validate(body)
    (active,) = body["items"]
    assert (active["state"], active["free"], active["price"]) == ("active", str(10**18), str(PRICE))
    assert not any(action == "agreement.agree" for action, _ in open_to(active))


def place(us: Parties, client: TestClient) -> None:
    early, late = us.predict(40.0), us.predict(20.0)
    count_before = us.side.chain.nonce(us.side.sender.address)
    assert "not anchored yet" in refused(ask(client, "order.place", us.operator, agreement="1", entry=late, dry=True))
    assert "on its way" in refused(ask(client, "order.place", us.operator, agreement="1", entry=late))
    assert us.side.chain.nonce(us.side.sender.address) == count_before
    us.anchor()
    assert "no order is due" in refused(ask(client, "order.place", us.operator, agreement="1", entry=early))
    do(client, "order.place", us.operator, agreement="1", entry=late)
    us.follow()
    body = order_of(client, "1-1")
    assert (body["state"], body["told"], body["sub"], body["prediction"]) == ("placed", "placed", TWIN, late)
    assert (body["deadline"], body["escrow"]["set_aside"]) == (body["since"] + 24 * HOUR, str(PRICE))
    assert body["escrow"]["free"] == str(10**18 - PRICE)
    assert open_to(body) == {
        ("order.accept", us.supplier),
        ("order.cancel", us.operator),
        ("order.cancel", us.supplier),
    }
    open_as_the_contract_says(us, client, "1-1")
    (step,) = body["steps"]
    assert step["event"] == "OrderPlaced"
    statement = us.live.node.reader.entry(step["entry"])
    assert bytes.fromhex(step["transaction"][2:]) in statement


def deliver(us: Parties, client: TestClient, token: str) -> None:
    assert "another party" in refused(ask(client, "order.accept", us.operator, order="1-1"))
    do(client, "order.accept", us.supplier, order="1-1")
    body = order_of(client, "1-1")
    assert (body["state"], body["told"]) == ("accepted", "placed"), "the contract is ahead of the log for a moment"
    open_as_the_contract_says(us, client, "1-1")
    (offer,) = [one for one in body["actions"] if one["action"] == "part.offer"]
    assert "WrongOffer" in refused(ask(client, "order.ship", us.supplier, order="1-1", token=token))
    do(client, "part.offer", us.supplier, token=token, **offer["arguments"])
    do(client, "order.ship", us.supplier, order="1-1", token=token)
    us.follow()
    open_as_the_contract_says(us, client, "1-1")
    body = order_of(client, "1-1")
    (taking,) = [one for one in body["actions"] if one["action"] == "part.accept"]
    assert (taking["by"], taking["arguments"], body["token"]) == ([us.operator], {"token": token}, token)
    (receive,) = [one for one in body["actions"] if one["action"] == "order.receive"]
    assert receive["why"] == "the operator accepts the part first"
    passport = get(client, f"/api/v1/parts/{token}")
    assert passport["offer"] == {"to": us.operator, "until": taking["until"], "open": True}
    assert ("part.accept", us.operator) in open_to(passport)
    assert "NotOffered" in refused(ask(client, "part.accept", us.supplier, token=token))
    do(client, "part.accept", us.operator, token=token)
    us.follow()
    open_as_the_contract_says(us, client, "1-1")
    (receive,) = [one for one in order_of(client, "1-1")["actions"] if one["action"] == "order.receive"]
    assert receive["why"] is None
    do(client, "order.receive", us.supplier, order="1-1")
    open_as_the_contract_says(us, client, "1-1")


def install(us: Parties, client: TestClient, token: str) -> None:
    key = bytes.fromhex(order_of(client, "1-1")["order_key"])
    said = format_installation(Installation(int(token).to_bytes(32, "big"), key))
    entry = us.say(TECHNICIAN, TWIN, INSTALLATION, said)
    us.anchor()
    do(client, "order.confirm", us.operator, order="1-1", entry=entry)
    us.follow()
    body = order_of(client, "1-1")
    assert (body["state"], body["installation"], body["deadline"]) == ("fulfilled", entry, None)
    assert body["escrow"]["owed"] == {us.supplier: str(PRICE), us.operator: "0"}
    assert open_to(body) == {("withdraw", us.supplier)}
    do(client, "withdraw", us.supplier)
    assert order_of(client, "1-1")["actions"] == []
    assert "nothing is owed" in refused(ask(client, "withdraw", us.supplier))


def expire(us: Parties, client: TestClient) -> None:
    """A second order that nobody ships."""
    entry = us.predict(10.0)
    us.anchor()
    do(client, "order.place", us.operator, agreement="1", entry=entry)
    do(client, "order.accept", us.supplier, order="1-2")
    us.follow()
    refused(ask(client, "order.expire", us.operator, order="1-2"))
    us.clock.advance(25 * HOUR)
    open_as_the_contract_says(us, client, "1-2")
    body = order_of(client, "1-2")
    assert ("order.expire", None) in open_to(body)
    assert not any(action in ("order.ship", "part.offer") for action, _ in open_to(body))
    do(client, "order.expire", us.supplier, order="1-2")
    us.follow()
    body = order_of(client, "1-2")
    assert (body["state"], body["told"], body["steps"][-1]["reason"]) == ("refunded", "cancelled", "NotShipped")
    assert body["actions"] == []


PLAIN = ("order.accept", "order.receive", "order.cancel", "order.dispute", "order.expire")
"""Actions on an order that take nothing else."""


def open_as_the_contract_says(us: Parties, client: TestClient, key: str) -> None:
    """Each of them, tried out for both parties, is open if it is said to be."""
    body = order_of(client, key)
    said = {
        (one["action"], who)
        for one in body["actions"]
        if one["action"] in PLAIN and one["why"] is None
        for who in (one["by"] or [us.operator, us.supplier])
    }
    tried = {
        (action, who)
        for action in PLAIN
        for who in (us.operator, us.supplier)
        if ask(client, action, who, dry=True, order=key).status_code == 200
    }
    assert said == tried, body["state"]


def test_an_order_from_its_prediction_to_the_money(story: list[str], us: Parties, client: TestClient) -> None:
    assert story == ["agreed", "placed", "delivered", "installed", "expired"]
    body = order_of(client, "1-1")
    assert [step["event"] for step in body["steps"]] == [
        "OrderPlaced", "OrderAccepted", "OrderShipped", "OrderReceived", "OrderFulfilled",
    ]  # fmt: skip
    assert [step["entry"] for step in body["steps"]] == sorted(step["entry"] for step in body["steps"])
    listed = get(client, "/api/v1/orders", sub=TWIN, state="fulfilled")
    shapes.OrderList.model_validate(listed)
    (item,) = listed["items"]
    assert {name: body[name] for name in item} == item
    assert get(client, "/api/v1/orders", state="placed")["items"] == []
    assert get(client, "/api/v1/orders", after="1-1")["items"] == []
    page = get(client, "/api/v1/orders", limit=1)
    assert ([item["order"] for item in page["items"]], page["next"]) == (["1-2"], "1-2")
    assert [item["order"] for item in get(client, "/api/v1/orders", after="1-2")["items"]] == ["1-1"]


def test_a_passport_tells_custody_and_birth(story: list[str], us: Parties, client: TestClient, token: str) -> None:
    body = get(client, f"/api/v1/parts/{token}")
    shapes.Passport.model_validate(body)
    assert [(step["event"], step["from"], step["to"]) for step in body["custody"]] == [
        ("Minted", None, us.supplier),
        ("Offered", us.supplier, us.operator),
        ("HandedOver", us.supplier, us.operator),
    ]
    assert all(type(step["entry"]) is int and step["block"] > 0 and step["time"] > 0 for step in body["custody"])
    assert (body["owner"], body["manufacturer"], body["status"], body["told"]) == (
        us.operator, us.supplier, "InService", True,
    )  # fmt: skip
    birth = us.live.states.history(PART, limit=1)[0].entry
    assert body["birth"]["entry"] == birth
    assert get(client, f"/api/v1/parts/{int(token):#066x}") == body
    listed = get(client, "/api/v1/parts", owner=us.operator)
    shapes.PassportList.model_validate(listed)
    (item,) = listed["items"]
    assert (item["part_number"], item["serial"], item["sub"]) == (NUMBER, "SN-1", PART)
    assert get(client, "/api/v1/parts", owner=us.supplier)["items"] == []


def test_parts_in_a_part_and_one_that_the_log_does_not_know(
    story: list[str], us: Parties, client: TestClient, token: str
) -> None:
    birth = us.describe(SPARE, serial="1")
    do(client, "part.accredit", us.operator, manufacturer=us.operator, accredited=True)
    do(client, "part.mint", us.operator, part_number="X-1", serial="1", twin=SPARE, entry=birth)
    unknown = "https://fleet.example/blade/unknown"
    do(client, "part.mint", us.operator, part_number="X-1", serial="2", twin=unknown, entry=birth)
    child, stranger = (str(token_id_of(us.side.sender.address, "X-1", serial)) for serial in "12")
    do(client, "part.install", us.operator, token=child, parent=token)
    do(client, "part.status", us.operator, token=stranger, status="Quarantined", entry=birth)
    us.follow()
    body = get(client, f"/api/v1/parts/{token}")
    assert body["children"] == [{"token": child, "sub": SPARE}]
    inner = get(client, f"/api/v1/parts/{child}")
    assert (inner["parent"], inner["parent_sub"]) == (token, PART)
    assert ("part.remove", us.operator) in open_to(inner)
    assert not any(action == "part.offer" for action, _ in open_to(inner))
    other = get(client, f"/api/v1/parts/{stranger}")
    shapes.Passport.model_validate(other)
    assert (other["told"], other["sub"], other["status"], other["serial"]) == (False, None, "Quarantined", "2")
    assert [step["event"] for step in other["custody"]] == ["Minted", "StatusChanged"]
    # The assembly changes hands with all that is in it, and names it.
    do(client, "part.offer", us.operator, token=token, to=us.supplier, until=int(us.clock()) + HOUR)
    (taking,) = [one for one in get(client, f"/api/v1/parts/{token}")["actions"] if "accept" in one["action"]]
    assert (taking["action"], taking["arguments"]["inside"]) == ("part.accept-assembly", [child])
    do(client, taking["action"], us.supplier, **taking["arguments"])
    us.follow()
    assert {item["token"] for item in get(client, "/api/v1/parts", owner=us.supplier)["items"]} == {token, child}


def test_the_same_id_sends_once(story: list[str], us: Parties, client: TestClient) -> None:
    arguments: dict[str, Any] = {"agreement": "1", "amount": "1000"}
    nonce = us.side.chain.nonce(us.side.sender.address)
    answers = [ask(client, "agreement.fund", us.operator, id_="once-only", **arguments) for _ in range(3)]
    assert len({answer.json()["hash"] for answer in answers}) == 1
    assert us.side.chain.nonce(us.side.sender.address) == nonce + 1
    assert answers[0].json()["gas"] is not None
    assert answers[1].json()["gas"] is None
    for changed in ({"agreement": "1", "amount": "1001"}, {}):
        by = us.supplier if not changed else us.operator
        refused(ask(client, "agreement.fund", by, id_="once-only", **(changed or arguments)), 400)
    assert us.side.chain.nonce(us.side.sender.address) == nonce + 1


def test_an_id_stands_although_what_it_needed_is_gone(story: list[str], us: Parties, client: TestClient) -> None:
    """What is asked for twice with one id is the first one, though trying it out anew would fail."""
    number = str(us.propose("propose another"))
    first = ask(client, "agreement.end", us.supplier, id_="the-very-end", agreement=number)
    assert first.status_code == 200, first.text
    again = ask(client, "agreement.end", us.supplier, id_="the-very-end", agreement=number)
    assert (again.status_code, again.json()["hash"]) == (200, first.json()["hash"])
    assert "AgreementEnded" in refused(ask(client, "agreement.end", us.supplier, agreement=number))


def test_dry_and_wallet_send_nothing(story: list[str], us: Parties, client: TestClient) -> None:
    before = [us.side.chain.nonce(account) for account in (us.side.sender.address, SUPPLIER.address)]
    head = us.side.chain.head().number
    size = us.live.node.reader.head().size
    body = ask(client, "part.accredit", us.operator, dry=True, manufacturer=us.supplier, accredited=False).json()
    assert (body["hash"], body["says"]) == (
        None, f"Sets whether the manufacturer {checksummed(us.supplier)} may mint parts: no.",
    )  # fmt: skip
    assert int(body["fee_wei"]) <= int(body["most_wei"])
    wallet = ask(client, "part.accredit", us.operator, sign="wallet", manufacturer=us.supplier, accredited=False)
    assert wallet.status_code == 200
    assert wallet.json() == body
    assert before == [us.side.chain.nonce(account) for account in (us.side.sender.address, SUPPLIER.address)]
    assert (us.side.chain.head().number, us.live.node.reader.head().size) == (head, size)


def checksummed(address: str) -> str:
    from twinproof.chain.forms import address_name

    return address_name(bytes.fromhex(address[2:]))


def test_who_cannot_pay_sends_nothing(story: list[str], us: Parties, client: TestClient) -> None:
    poor = f"0x{POOR.address.hex()}"
    for dry in (True, False):
        answer = ask(client, "withdraw", poor, dry=dry)
        assert refused(answer)
        answer = ask(client, "part.accept", poor, dry=dry, token="5")
        assert refused(answer)
    answer = ask(client, "agreement.fund", us.supplier, agreement="1", amount=str(10**30))
    refused(answer)
    assert us.side.chain.nonce(POOR.address) == 0


def test_an_account_that_the_node_does_not_hold_signs_by_wallet_alone(us: Parties, client: TestClient) -> None:
    stranger = "0x" + "11" * 20
    assert "Sign with a wallet" in refused(ask(client, "withdraw", stranger), 404)


def test_accounts_are_those_held(us: Parties, client: TestClient) -> None:
    body = get(client, "/api/v1/accounts")
    shapes.AccountList.model_validate(body)
    assert [(item["name"], item["address"]) for item in body["items"]] == [
        ("node", us.operator),
        ("poor", f"0x{POOR.address.hex()}"),
        ("supplier", us.supplier),
    ]
    assert [int(item["balance_wei"]) > 0 for item in body["items"]] == [True, False, True]


HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"action": "part.steal"}, "action"),
    ({"arguments": {"order": "1-1", "more": 1}}, "arguments"),
    ({"arguments": {}}, "arguments.order"),
    ({"arguments": {"order": 1}}, "arguments.order"),
    ({"arguments": {"order": "1-0"}}, "arguments.order"),
    ({"arguments": {"order": "1-4294967296"}}, "arguments.order"),
    ({"arguments": {"order": "\u0663-\u0661"}}, "arguments.order"),
    ({"arguments": {"order": "9-1"}}, ""),
    ({"action": "part.accept", "arguments": {"token": str(2**256)}}, "arguments.token"),
    ({"action": "part.accept", "arguments": {"token": "-1"}}, "arguments.token"),
    ({"action": "part.accept", "arguments": {"token": "0x1"}}, "arguments.token"),
    ({"action": "part.accept", "arguments": {"token": True}}, "arguments.token"),
    ({"action": "part.status", "arguments": {"token": "5", "status": "Stolen"}}, "arguments.status"),
    ({"action": "part.status", "arguments": {"token": "5", "status": "Removed", "entry": -1}}, "arguments.entry"),
    ({"action": "part.status", "arguments": {"token": "5", "status": "Removed", "entry": 10**9}}, ""),
    ({"action": "part.offer", "arguments": {"token": "5", "to": "0x5", "until": 5}}, "arguments.to"),
    ({"action": "part.offer", "arguments": {"token": "5", "to": "0x" + "11" * 20, "until": 2**60}}, "arguments.until"),
    ({"action": "agreement.fund", "arguments": {"agreement": "1", "amount": "1e18"}}, "arguments.amount"),
    ({"action": "agreement.fund", "arguments": {"agreement": "1", "amount": str(2**128)}}, "arguments.amount"),
    ({"action": "part.mint", "arguments": {"part_number": "a\n", "serial": "1", "twin": PART, "entry": 1}},
     "arguments.part_number"),
    ({"action": "part.mint", "arguments": {"part_number": "a", "serial": "1", "twin": "no iri", "entry": 1}},
     "arguments.twin"),
    ({"action": "part.accept-assembly", "arguments": {"token": "5", "inside": []}}, "arguments.inside"),
    ({"from": "0x11"}, "from"),
    ({"from": None}, "from"),
    ({"sign": "me"}, "sign"),
    ({"dry": "no"}, "dry"),
    ({"id": None}, "id"),
    ({"id": "short"}, "id"),
    ({"id": "with space in it"}, "id"),
    ({"more": 1}, "more"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_questions_are_refused_by_name(us: Parties, client: TestClient, number: int) -> None:
    change, field = HOSTILE[number]
    question = {"action": "order.accept", "arguments": {"order": "1-1"}, "from": us.supplier, "sign": "node",
                "id": f"hostile-{number:04}"}  # fmt: skip
    before = us.side.chain.head().number
    answer = client.post(TRANSACTIONS, json={**question, **change})
    assert answer.status_code == (400 if field else 404), answer.text
    if field:
        assert answer.json()["field"].startswith(field)
    assert us.side.chain.head().number == before


def test_acting_takes_a_token_that_covers_it(story: list[str], us: Parties, token: str) -> None:
    question = {"action": "part.cancel-offer", "arguments": {"token": token}, "from": us.supplier, "sign": "node",
                "id": "not-covered"}  # fmt: skip
    assert us.client().post(TRANSACTIONS, json=question).status_code == 401, "on loopback, too"
    assert us.client("all").post(TRANSACTIONS, json=question).status_code == 403
    elsewhere = us.client("operate", f"twin:{TWIN}")
    assert elsewhere.post(TRANSACTIONS, json=question).status_code == 403
    assert elsewhere.post(TRANSACTIONS, json={**question, "action": "withdraw", "arguments": {}}).status_code == 403
    assert us.client("operate", f"twin:{PART}").post(TRANSACTIONS, json=question).status_code == 409


def test_every_part_that_an_action_moves_must_be_covered(story: list[str], us: Parties, token: str) -> None:
    """A token for one part puts it into no other's, and takes no other along."""
    birth, mine = us.describe(SPARE, serial="2"), str(token_id_of(us.side.sender.address, "X-2", "1"))
    admin = us.client("all", "operate")
    do(admin, "part.accredit", us.operator, manufacturer=us.operator, accredited=True)
    do(admin, "part.mint", us.operator, part_number="X-2", serial="1", twin=SPARE, entry=birth)
    us.follow()
    within, both = us.client("operate", f"twin:{SPARE}"), us.client("operate", f"prefix:{SPARE[:-1]}")
    asked: list[tuple[str, dict[str, Any]]] = [
        ("part.install", {"token": mine, "parent": token}),
        ("part.accept-assembly", {"token": mine, "inside": [token]}),
        ("part.accept-assembly", {"token": mine, "inside": [f"{int(token):#066x}"]}),
        ("order.ship", {"order": "1-1", "token": mine}),
    ]
    for action, arguments in asked:
        assert refused(ask(within, action, us.operator, dry=True, **arguments), 403)
    for action, arguments in asked[:3]:
        assert ask(both, action, us.operator, dry=True, **arguments).status_code != 403


def test_the_same_id_at_the_same_time_sends_once(
    story: list[str], us: Parties, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clicks: the second is tried out when the first has changed what it needs."""
    number, price = str(us.propose("propose a third")), Desk.price
    inner: list[Any] = []

    def overtaken(desk: Desk, plan: Plan) -> Estimate:
        monkeypatch.setattr(Desk, "price", price)
        inner.append(ask(client, "agreement.end", us.supplier, id_="two-clicks", agreement=number))
        return price(desk, plan)

    monkeypatch.setattr(Desk, "price", overtaken)
    outer = ask(client, "agreement.end", us.supplier, id_="two-clicks", agreement=number)
    assert (inner[0].status_code, outer.status_code) == (200, 200), outer.text
    assert inner[0].json()["hash"] == outer.json()["hash"]


def test_reading_is_cut_to_what_a_token_covers(story: list[str], us: Parties, token: str) -> None:
    blade, engine = us.client(f"twin:{PART}", here=False), us.client(f"twin:{TWIN}", here=False)
    assert [item["sub"] for item in get(blade, "/api/v1/parts")["items"]] == [PART]
    assert get(blade, "/api/v1/orders")["items"] == []
    assert get(blade, "/api/v1/agreements")["items"] == []
    assert blade.get("/api/v1/orders/1-1").status_code == 403
    assert blade.get("/api/v1/orders", params={"sub": TWIN}).status_code == 403
    assert engine.get(f"/api/v1/parts/{token}").status_code == 403
    assert engine.get("/api/v1/parts/5").status_code == 404
    assert [item["order"] for item in get(engine, "/api/v1/orders")["items"]] == ["1-2", "1-1"]
    assert engine.get("/api/v1/accounts").status_code == 403
    assert get(blade, f"/api/v1/parts/{token}")["children"][0]["sub"] is None


READ: list[str] = [
    "session", "fleet", "twins", "alarms", "models", "chain", "orders", "agreements", "parts", "parts/{token}",
    "log/head", "log/growth", "log/witnesses", "log/anchors", "log/check", "log/checkpoints",
    *(f"{name}?sub={PART}" for name in ("state", "history", "timeline", "evidence", "predictions", "telemetry/latest")),
    f"orders?sub={PART}", f"parts?sub={PART}", "fleet?since=1&prefix=https", "twins?prefix=https",
]  # fmt: skip


@pytest.mark.parametrize("path", READ)
def test_no_answer_names_a_twin_that_the_token_does_not_cover(
    story: list[str], us: Parties, token: str, path: str
) -> None:
    here = us.client(f"twin:{PART}", "operate", here=False)
    answer = here.get(f"/api/v1/{path.replace('{token}', token)}")
    assert answer.status_code == 200, answer.text
    for other in (TWIN, SPARE, TWIN.rpartition("/")[0]):
        assert other not in answer.text


@pytest.mark.parametrize("sub", [TWIN, SPARE, PART + "0", PART[:-1], PART.upper(), "urn:example:nobody"])
def test_no_twin_out_of_reach_is_asked_or_told_anything(us: Parties, sub: str) -> None:
    here, size = us.client(f"twin:{PART}", "operate", here=False), us.live.feed.size
    costs = {"planned": 1, "failure": 10, "lead": 5}
    plan = {"slots": 1, "cycles_per_slot": 5, "price": 0.1, "crew": [1], "spares": [1], **costs}
    response = {"rule": "hot", "transition": "shelve", "until": int(us.clock()) + HOUR}
    for path, question in (
        ("commands", {"sub": sub, "name": "wash"}),
        ("desired", {"sub": sub, "set": {"mode": "eco"}}),
        ("alarms/response", {"sub": sub, **response}),
        ("whatif", {"sub": sub, **costs}),
        ("plan", {"subs": [sub], **plan}),
        ("plan", {"subs": [PART, sub], "prefix": PART, **plan}),
    ):
        answer = here.post(f"/api/v1/{path}", json=question)
        assert (answer.status_code, answer.json()["code"]) == (403, "access-denied"), answer.text
    assert us.live.feed.size == size


def test_what_is_not_there(us: Parties, client: TestClient) -> None:
    for path in ("/api/v1/orders/7-1", "/api/v1/parts/5", f"{TRANSACTIONS}/0x{'00' * 32}"):
        assert client.get(path).status_code == 404, path
    for path in ("/api/v1/orders/x", "/api/v1/orders/1-0", "/api/v1/parts/01", f"/api/v1/parts/{2**256}",
                 f"{TRANSACTIONS}/0x11", "/api/v1/orders?after=9", "/api/v1/parts?owner=me"):  # fmt: skip
        assert client.get(path).status_code == 400, path


def test_a_transaction_of_somebody_elses_is_told_of(us: Parties, client: TestClient) -> None:
    block = us.side.chain.block(1)
    assert block is not None
    body = get(client, f"{TRANSACTIONS}/0x{block.transactions[0].hex()}")
    shapes.TransactionStatus.model_validate(body)
    assert (body["state"], body["block"], body["final"]) == ("mined", 1, True)


def test_a_chain_that_is_away_leaves_what_the_log_tells(
    story: list[str], us: Parties, client: TestClient, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: object, **more: object) -> None:
        raise ChainUnreachable("nobody answers")

    with monkeypatch.context() as patch:
        patch.setattr(us.side.chain, "head", away)
        for path, shape in (("orders", shapes.OrderList), ("orders/1-1", shapes.OrderDetail),
                            ("agreements", shapes.AgreementList), (f"parts/{token}", shapes.Passport),
                            ("accounts", shapes.AccountList)):  # fmt: skip
            body = get(client, f"/api/v1/{path}")
            shape.model_validate(body)
            assert (body["block"], body["problem"]) == (None, "chain-unreachable: nobody answers")
        assert get(client, "/api/v1/orders/1-1")["state"] == "fulfilled"
    with monkeypatch.context() as patch:
        # It goes away in the middle of an answer.
        patch.setattr(us.side.chain, "call", away)
        body = get(client, "/api/v1/orders/1-1")
        assert (body["escrow"], body["actions"], body["problem"]) == (None, [], "chain-unreachable: nobody answers")
        assert get(client, f"/api/v1/parts/{token}")["problem"] == "chain-unreachable: nobody answers"
        assert get(client, "/api/v1/agreements")["items"][0]["state"] is None
    with monkeypatch.context() as patch:
        patch.setattr(us.side.chain, "estimate_gas", away)
        answer = ask(client, "agreement.fund", us.operator, agreement="1", amount="1", id_="while-away")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert ask(client, "withdraw", us.operator, sign="wallet", dry=True).status_code == 409


def test_what_was_signed_and_not_taken_is_pending_and_goes_on(
    story: list[str], us: Parties, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(raw: bytes) -> bytes:
        raise ChainUnreachable("nobody answers")

    arguments: dict[str, Any] = {"manufacturer": us.supplier, "accredited": True}
    nonce = us.side.chain.nonce(us.side.sender.address)
    with monkeypatch.context() as patch:
        patch.setattr(us.side.chain, "send", silent)
        sent = ask(client, "part.accredit", us.operator, id_="slow-going", **arguments)
        assert sent.status_code == 200, sent.text
        path = f"{TRANSACTIONS}/{sent.json()['hash']}"
        waiting = get(client, path)
        assert (waiting["state"], waiting["final"], waiting["block"]) == ("pending", False, None)
        assert waiting["reason"] == "nobody answers"
    assert us.side.chain.nonce(us.side.sender.address) == nonce
    assert get(client, path)["final"] in (True, False)
    assert get(client, path)["state"] == "mined"
    assert us.side.chain.nonce(us.side.sender.address) == nonce + 1


# --- statements -----------------------------------------------------------------------------------


def test_a_command_is_stated_once_and_names_the_token(us: Parties, client: TestClient) -> None:
    question = {"sub": TWIN, "name": "wash", "input": {"minutes": 5}, "id": "wash-0001"}
    first = client.post("/api/v1/commands", json=question)
    shapes.Stated.model_validate(first.json())
    again = client.post("/api/v1/commands", json=question)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert client.post("/api/v1/commands", json={**question, "name": "dry"}).status_code == 400
    entry = get(client, f"/api/v1/log/entries/{first.json()['entry']}")
    token = client.headers["authorization"].removeprefix("Bearer tp_")[:16]
    assert entry["payload"] == {"name": "wash", "input": {"minutes": 5}, "text": f"console, token {token}"}
    assert (entry["iss"].endswith("#console"), entry["digest"]) == (True, first.json()["digest"])
    free = [client.post("/api/v1/commands", json={"sub": TWIN, "name": "wash"}).status_code for _ in range(2)]
    assert free == [201, 201]


def test_a_bearer_of_elsewhere_is_not_taken_for_a_token_of_this_node(
    us: Parties, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outside issuer's subject may look like the id of a token."""
    known = client.headers["authorization"].removeprefix("Bearer tp_")[:16]
    real = Access.bearer

    class Elsewhere:
        def check(self, token: str) -> Bearer:
            return Bearer(known, (EVERYTHING, OPERATE))

    async def bearer(access: Access, connection: HTTPConnection) -> Principal:
        monkeypatch.setattr(access, "_issuer", Elsewhere())
        return await real(access, connection)

    monkeypatch.setattr(Access, "bearer", bearer)
    headers = {"authorization": "Bearer a.b.c"}
    said = us.client().post("/api/v1/commands", json={"sub": TWIN, "name": "wash"}, headers=headers)
    entry = get(client, f"/api/v1/log/entries/{said.json()['entry']}")
    assert entry["payload"]["text"] == f"console, bearer '{known}'"


def test_questions_that_take_long_keep_nobody_from_acting(us: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = Semaphore(0), Event()

    def slow(*_: Any) -> None:
        begun.release()
        go_on.wait(60)
        raise NotFound("nothing")

    monkeypatch.setattr(prognosis, "_plan", slow)
    costs = {"planned": 1, "failure": 10, "lead": 5, "price": 0.1, "crew": [1], "spares": [1]}
    plan = {"slots": 1, "cycles_per_slot": 5, **costs}
    with us.client("all", "operate") as one, ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(one.post, "/api/v1/plan", json=plan) for _ in range(4)]
        try:
            assert all(begun.acquire(timeout=30) for _ in asked)
            said = pool.submit(one.post, "/api/v1/commands", json={"sub": TWIN, "name": "wash"})
            assert said.result(30).status_code == 201
        finally:
            go_on.set()
        assert [answer.result(30).status_code for answer in asked] == [404] * 4


def test_what_is_desired_reaches_the_state(us: Parties, client: TestClient) -> None:
    said = client.post("/api/v1/desired", json={"sub": TWIN, "set": {"mode": "eco", "speed": 9.5}}).json()
    state = get(client, "/api/v1/state", sub=TWIN, at_least=said["entry"])
    assert {name: held["value"] for name, held in state["desired"].items()} == {"mode": "eco", "speed": 9.5}
    assert state["requests"][-1]["id"] == said["digest"]
    client.post("/api/v1/desired", json={"sub": TWIN, "unset": ["speed", "mode"]})


def test_an_alarm_is_answered(us: Parties, client: TestClient) -> None:
    path = "/api/v1/alarms/response"
    question = {"sub": TWIN, "rule": "hot", "transition": "acknowledge"}
    assert "stands" in refused(client.post(path, json=question), 404)
    until = int(us.clock()) + HOUR
    shelved = client.post(path, json={**question, "transition": "shelve", "until": until, "text": "sensor on order"})
    assert shelved.status_code == 201
    state = get(client, "/api/v1/state", sub=TWIN, at_least=shelved.json()["entry"])
    assert state["alarms"]["hot"]["shelved_until"] == until
    entry = get(client, f"/api/v1/log/entries/{shelved.json()['entry']}")
    assert entry["payload"]["text"].startswith("sensor on order (console, token ")
    assert client.post(path, json={**question, "transition": "unshelve"}).status_code == 201


STATEMENTS: list[tuple[str, dict[str, Any], int]] = [
    ("commands", {"sub": TWIN, "name": ""}, 400),
    ("commands", {"sub": TWIN, "name": " x"}, 400),
    ("commands", {"sub": "no iri", "name": "x"}, 400),
    ("commands", {"sub": "urn:example:nobody", "name": "x"}, 404),
    ("commands", {"sub": TWIN, "name": "x", "deadline": 0}, 400),
    ("commands", {"sub": TWIN, "name": "x", "deadline": "5"}, 400),
    ("commands", {"sub": TWIN, "name": "x", "input": 2**64}, 400),
    ("commands", {"sub": TWIN, "name": "x", "input": [[[[[[[[[[[1]]]]]]]]]]]}, 400),
    ("commands", {"sub": TWIN, "name": "x", "text": "mine"}, 400),
    ("desired", {"sub": TWIN}, 400),
    ("desired", {"sub": TWIN, "set": {"a": 1}, "unset": ["a"]}, 400),
    ("desired", {"sub": TWIN, "unset": ["a", "a"]}, 400),
    ("alarms/response", {"sub": TWIN, "rule": "hot", "transition": "raise"}, 400),
    ("alarms/response", {"sub": TWIN, "rule": "hot", "transition": "shelve"}, 400),
    ("alarms/response", {"sub": TWIN, "rule": "HOT", "transition": "acknowledge"}, 400),
]


@pytest.mark.parametrize("number", range(len(STATEMENTS)))
def test_hostile_statements_are_refused(us: Parties, client: TestClient, number: int) -> None:
    path, question, status = STATEMENTS[number]
    size = us.live.node.reader.head().size
    answer = client.post(f"/api/v1/{path}", json=question)
    assert answer.status_code == status, answer.text
    assert us.live.node.reader.head().size == size


@pytest.mark.parametrize("text", ["NaN", "Infinity", '"\\ud800"', "1e400"])
def test_what_json_has_not_is_refused(us: Parties, client: TestClient, text: str) -> None:
    body = f'{{"sub": "{TWIN}", "name": "x", "input": {text}}}'
    answer = client.post("/api/v1/commands", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text


def test_a_command_takes_a_token_that_covers_the_twin(us: Parties) -> None:
    question = {"sub": TWIN, "name": "wash"}
    assert us.client("all").post("/api/v1/commands", json=question).status_code == 403
    assert us.client("operate", f"twin:{PART}").post("/api/v1/commands", json=question).status_code == 403
    assert us.client("operate", f"twin:{TWIN}").post("/api/v1/commands", json=question).status_code == 201


def test_without_a_grant_the_answer_says_what_to_do(tmp_path: Path) -> None:
    from tests.server.live_rig import live_rig
    from twinproof.node.service_keys import CONSOLE

    with live_rig(tmp_path / "node") as rig:
        client = rig.client(token=rig.token("all", "operate"))
        question = {"sub": TWIN, "name": "wash", "input": 5}
        assert "twinproof console enable" in refused(client.post("/api/v1/commands", json=question), 403)
        CONSOLE.key(rig.live.node.folder, rig.live.node.config.origin)
        assert "twinproof console enable" in refused(client.post("/api/v1/commands", json=question), 403)
        CONSOLE.enable(rig.live.node, CONSOLE.key(rig.live.node.folder, rig.live.node.config.origin))
        assert client.post("/api/v1/commands", json=question).status_code == 201
        assert refused(client.post(TRANSACTIONS, json={
            "action": "withdraw", "arguments": {}, "from": "0x" + "11" * 20, "sign": "wallet"}), 404)  # fmt: skip
        for path in ("orders", "parts", "agreements", "accounts"):
            assert get(client, f"/api/v1/{path}")["items"] == []

"""One twin: values as they come, its model's layout, acting on it, what it is connected to, its shape."""

from __future__ import annotations

import json
import struct
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Axe, Desk, Faults, Shot
from tests.console.world import DEVICE, ENGINEER, LONER, World, interface
from twinproof.node.statements import logged
from twinproof.proof import cbor
from twinproof.twin import model, operation
from twinproof.twin.alarm import ALARM_RESPONSE, Rule, Severity, Test, format_rule
from twinproof.twin.alarm import RULE as RULE_KIND
from twinproof.twin.description import Description
from twinproof.twin.operation import Acknowledgement, Status

NEWEST = 5000
"""Milliseconds for what the poller brings each second."""
MIXER = "dtmi:com:example:mixer;1"
SHAPED = "dtmi:com:example:shaped:engine;1"


def route(sub: str) -> str:
    return f"/twin/{quote(sub, safe='')}"


def opened(desk: Desk, sub: str, *, acting: bool = False, **settings: Any) -> Page:
    """The twin's screen; with a token that acts, if wanted."""
    if not acting:
        return desk.page(desk.world.link(route(sub)), **settings)
    page = desk.page(desk.world.link(token=desk.world.operating), **settings)
    expect(page.get_by_role("banner")).to_contain_text("may act")
    page.goto(desk.world.link(route(sub)))
    return page


def panel(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True).first


def engine(desk: Desk, t24: float = 641.25) -> str:
    """A new engine with a reading."""
    twin = desk.world.fresh("twin/engine")
    desk.world.describe(twin, name="Test engine")
    desk.world.read(twin, T24=t24, Nf=2388.0)
    return twin


def row(page: Page, title: str, name: str) -> Locator:
    return panel(page, title).get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


# --- what it is -----------------------------------------------------------------------------------


def test_each_value_has_its_unit_its_time_and_its_entry(desk: Desk) -> None:
    page = opened(desk, desk.world.engine(2))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Engine 02")
    expect(page).to_have_title("Engine 02 · Twinproof")
    fan = row(page, "Values now", "Fan speed")
    expect(fan).to_contain_text("2,379 1/min")
    expect(fan).to_contain_text("ago")
    state = desk.world.live.states.state(desk.world.engine(2))
    entry = fan.get_by_role("link", name=f"entry {state.readings['Nf'].entry}", exact=True)
    expect(entry).to_have_attribute("href", f"#/verify?entry={state.readings['Nf'].entry}")
    expect(row(page, "Properties", "Serial number")).to_contain_text("TF-1002")
    expect(panel(page, "Alarms")).to_contain_text("Too hot behind the low-pressure compressor")


def test_a_new_reading_shows_without_loading_again(desk: Desk) -> None:
    twin = engine(desk)
    page = opened(desk, twin)
    expect(row(page, "Values now", "LPC outlet temperature")).to_contain_text("641.25 K")
    page.evaluate("window.kept = true")
    desk.world.read(twin, T24=652.5)
    expect(row(page, "Values now", "LPC outlet temperature")).to_contain_text("652.5 K", timeout=NEWEST)
    assert page.evaluate("window.kept")


def test_a_signal_without_readings_says_so_and_an_old_value_is_marked(desk: Desk) -> None:
    twin = desk.world.fresh("twin/engine")
    desk.world.describe(twin, name="Old engine")
    desk.world.read(twin, at=desk.world.now - 4000, T24=600.0)
    page = opened(desk, twin)
    expect(row(page, "Values now", "LPC outlet temperature")).to_contain_text("old")
    expect(row(page, "Values now", "Fan speed")).to_contain_text("no reading yet")


def test_a_twin_without_a_model_shows_what_the_log_says(desk: Desk) -> None:
    page = opened(desk, LONER)
    expect(row(page, "Values now", "x")).to_contain_text("21.5 K")
    expect(panel(page, "Commands")).to_contain_text("names no model")
    expect(panel(page, "Alarms")).to_contain_text("No alarm stands")


def test_a_twin_that_nobody_spoke_of(desk: Desk, faults: Faults) -> None:
    faults.allow("404")
    page = opened(desk, "urn:example:nobody")
    expect(page.get_by_text("The log holds nothing about this twin")).to_be_visible()


# --- acting ---------------------------------------------------------------------------------------


def entries_of(world: World, sub: str, kind: str) -> list[Any]:
    """The statements of a kind about a twin, newest last."""
    return [logged(world.live.node.reader, one.entry) for one in world.live.states.history(sub, kind=kind, limit=100)]


def test_a_command_asks_back_and_is_in_the_log_then(desk: Desk) -> None:
    twin = engine(desk)
    page = opened(desk, twin, acting=True)
    panel(page, "Commands").get_by_role("button", name="Send… wash").click()
    form = page.get_by_role("dialog", name="wash")
    form.get_by_label("minutes").fill("five")
    form.get_by_role("button", name="Next").click()
    expect(form.get_by_role("alert")).to_contain_text("no number")
    form.get_by_label("minutes").fill("5")
    form.get_by_role("button", name="Next").click()
    asked = page.get_by_role("dialog", name="Send wash?")
    expect(asked).to_contain_text("#console")
    assert not entries_of(desk.world, twin, "command")
    asked.get_by_role("button", name="Send command").click()
    expect(asked).not_to_be_visible()
    expect(row(page, "Requests and answers", "wash")).to_contain_text("waiting", timeout=NEWEST)
    [said] = entries_of(desk.world, twin, "command")
    payload = cbor.decode(said.payload)
    assert (payload["name"], payload["input"]) == ("wash", 5)
    assert payload["deadline"] > desk.world.now
    done = Acknowledgement(said.digest, Status.DONE, "washed")
    desk.world.script.say(
        DEVICE, twin, operation.ACKNOWLEDGEMENT, operation.format_acknowledgement(done), at=desk.world.now
    )
    desk.world.take()
    expect(row(page, "Requests and answers", "wash")).to_contain_text("done", timeout=NEWEST)


def test_a_writable_property_can_be_asked_for(desk: Desk) -> None:
    twin = engine(desk)
    page = opened(desk, twin, acting=True)
    panel(page, "Properties").get_by_role("button", name="Change what Mode should be").click()
    page.get_by_role("dialog").get_by_label("Mode").fill("eco")
    page.get_by_role("dialog").get_by_role("button", name="Next").click()
    page.get_by_role("dialog", name="Change Mode?").get_by_role("button", name="Set").click()
    expect(row(page, "Properties", "Mode")).to_contain_text("eco", timeout=NEWEST)
    expect(row(page, "Properties", "Mode")).to_contain_text("differs")
    [said] = entries_of(desk.world, twin, "desired")
    assert cbor.decode(said.payload)["set"] == {"mode": "eco"}


def test_an_alarm_is_acknowledged(desk: Desk) -> None:
    twin = engine(desk)
    rule = Rule("hot", "T24", Test.ABOVE, 640.0, Severity.HIGH, text="Too hot")
    desk.world.script.say(ENGINEER, twin, RULE_KIND, format_rule(rule), at=desk.world.now)
    desk.world.raise_alarm(twin, "hot", 645.0)
    page = opened(desk, twin, acting=True)
    alarms = panel(page, "Alarms")
    expect(alarms).to_contain_text("not acknowledged")
    alarms.get_by_role("button", name="Acknowledge").click()
    asked = page.get_by_role("dialog", name="Respond to hot")
    asked.get_by_label("Note").fill("valve opened")
    asked.get_by_role("button", name="Acknowledge").click()
    expect(alarms.get_by_text("· acknowledged")).to_be_visible(timeout=NEWEST)
    [said] = entries_of(desk.world, twin, "alarm-response")
    assert said.content_type == ALARM_RESPONSE
    assert "valve opened" in cbor.decode(said.payload)["text"]


def test_a_detectors_case_says_what_strayed(desk: Desk) -> None:
    page = opened(desk, desk.world.engine(2))
    alarms = panel(page, "Alarms")
    alarms.get_by_text("What strayed").click()
    expect(alarms).to_contain_text("fouling of the compressor, bleed leak")
    expect(alarms.get_by_role("row").filter(has_text="T24")).to_contain_text("+1.75")
    expect(alarms.get_by_role("row").filter(has_text="T50")).to_contain_text("-0.5")


def test_who_only_reads_is_told_what_acting_takes(desk: Desk) -> None:
    page = opened(desk, desk.world.engine(2))
    expect(panel(page, "Commands")).to_contain_text("scope operate")
    expect(page.get_by_role("button", name="Send")).to_have_count(0)
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)


@pytest.fixture(scope="module")
def mixer(world: World) -> str:
    """A twin whose command takes an object with an enum, a number, a list and a switch."""
    mode = {
        "@type": "Enum",
        "valueSchema": "string",
        "enumValues": [{"name": "eco", "displayName": "Economy", "enumValue": "e"}, {"name": "full", "enumValue": "f"}],
    }
    fields = [
        {"name": "mode", "schema": mode},
        {"name": "speed", "schema": "double"},
        {"name": "steps", "schema": {"@type": "Array", "elementSchema": "unsignedByte"}},
        {"name": "dry", "schema": "boolean"},
    ]
    document = {
        "@context": "dtmi:dtdl:context;4",
        "@id": MIXER,
        "@type": "Interface",
        "contents": [
            {
                "@type": "Command",
                "name": "mix",
                "displayName": "Mix",
                "request": {"name": "how", "schema": {"@type": "Object", "fields": fields}},
            }
        ],
    }
    said = model.format_model(model.ModelDocument(model.DTDL, json.dumps(document).encode()))
    world.script.say(ENGINEER, MIXER, model.MODEL, said, at=world.now)
    twin = world.fresh("twin/mixer")
    world.describe(twin, model=MIXER)
    return twin


def test_a_command_with_a_complex_request(desk: Desk, mixer: str) -> None:
    page = opened(desk, mixer, acting=True)
    panel(page, "Commands").get_by_role("button", name="Send… Mix").click()
    form = page.get_by_role("dialog", name="Mix")
    form.get_by_label("mode").select_option(label="Economy")
    form.get_by_label("speed").fill("1.5e2")
    form.get_by_label("steps").fill("1\n300")
    form.get_by_label("dry").select_option("true")
    form.get_by_role("button", name="Next").click()
    expect(form.get_by_role("alert")).to_contain_text("steps: Must lie between 0 and 255")
    form.get_by_label("steps").fill("1\n2")
    form.get_by_role("button", name="Next").click()
    page.get_by_role("dialog", name="Send Mix?").get_by_role("button", name="Send command").click()
    expect(row(page, "Requests and answers", "mix")).to_be_visible(timeout=NEWEST)
    [said] = entries_of(desk.world, mixer, "command")
    assert cbor.decode(said.payload)["input"] == {"mode": "e", "speed": 150, "steps": [1, 2], "dry": True}


# --- what it is connected to ----------------------------------------------------------------------


def test_the_graph_has_a_list_that_says_the_same_and_leads_on(desk: Desk) -> None:
    page = opened(desk, desk.world.engine(3))
    relations = panel(page, "Relationships and parts")
    expect(relations.get_by_role("img", name="Graph of what Engine 03 is connected to")).to_be_visible()
    expect(relations.locator("canvas").first).to_be_visible()
    relations.get_by_role("button", name="List").click()
    expect(relations).to_contain_text("feeds")
    relations.get_by_role("link", name="pump/3").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Pump 3")
    relations = panel(page, "Relationships and parts")
    relations.get_by_role("button", name="List").click()
    expect(relations.get_by_role("heading", name="To here")).to_be_visible()
    expect(relations.get_by_role("link", name="engine/3")).to_be_visible()


def test_without_the_graph_the_twins_own_relationships_are_left(desk: Desk, faults: Faults) -> None:
    faults.allow("403")
    problem = {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "not yours",
        "code": "access-denied",
    }
    page = desk.page()
    page.route(
        "**/api/v1/graph",
        lambda asked: asked.fulfill(status=403, content_type="application/problem+json", body=json.dumps(problem)),
    )
    page.goto(desk.world.link(route(desk.world.engine(3))))
    relations = panel(page, "Relationships and parts")
    expect(relations).to_contain_text("does not cover queries over the graph")
    relations.get_by_role("button", name="List").click()
    expect(relations.get_by_role("link", name="pump/3")).to_be_visible()


# --- its shape ------------------------------------------------------------------------------------


def colours(page: Page, target: Locator) -> int:
    """How many different colours a picture of it has, of a sample of its pixels."""
    picture = target.screenshot()
    script = """async bytes => {
        const bitmap = await createImageBitmap(new Blob([Uint8Array.from(bytes)], {type: 'image/png'}));
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        const context = canvas.getContext('2d');
        context.drawImage(bitmap, 0, 0);
        const {data} = context.getImageData(0, 0, bitmap.width, bitmap.height);
        const seen = new Set();
        for (let at = 0; at < data.length; at += 16) seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
        return seen.size;
    }"""
    found = page.evaluate(script, list(picture))
    assert isinstance(found, int)
    return found


def test_the_shape_is_drawn_turned_and_listed(desk: Desk) -> None:
    page = opened(desk, desk.world.engine(2))
    view = panel(page, "3-D view")
    stage = view.get_by_role("application", name="3-D view of Engine 02")
    expect(stage.locator("canvas")).to_be_visible()
    assert colours(page, stage) > 50
    before = stage.screenshot()
    stage.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    )
    assert stage.screenshot() != before
    expect(row(page, "3-D view", "Compressor")).to_contain_text("Act")
    expect(row(page, "3-D view", "Compressor")).to_contain_text("Too hot behind the low-pressure compressor")
    expect(row(page, "3-D view", "Turbine")).to_contain_text("drives the forecast: T50")
    expect(row(page, "3-D view", "Fan")).to_contain_text("Good")


def test_without_webgl_the_list_is_left(desk: Desk, faults: Faults) -> None:
    faults.allow("WebGL")
    page = desk.page()
    page.add_init_script(
        "const real = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return String(kind).startsWith('webgl') ? null : real.call(this, kind, ...rest); };"
    )
    page.goto(desk.world.link(route(desk.world.engine(2))))
    view = panel(page, "3-D view")
    expect(view).to_contain_text("no WebGL")
    expect(row(page, "3-D view", "Compressor")).to_contain_text("Act")


def gltf(changes: dict[str, Any] | None = None, binary: bytes | None = None) -> bytes:
    """A .glb with two triangles in two nodes, "T24 probe" and "casing"; `changes` replace members."""
    if binary is None:
        binary = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0) + struct.pack("<3H", 0, 1, 2) + b"\0\0"
    document = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0, 1]}],
        "nodes": [{"name": "T24 probe", "mesh": 0}, {"name": "casing", "mesh": 0, "translation": [1, 0, 0]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 6}],
        "buffers": [{"byteLength": len(binary)}],
        **(changes or {}),
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


@pytest.fixture(scope="module")
def shaped_model(world: World) -> str:
    """A model whose twins name a file of their shape."""
    document = interface(SHAPED, "Engine with a shape", {"T24": "LPC outlet temperature"})
    document["contents"].append({"@type": "Property", "name": "model3d", "schema": "string"})
    said = model.format_model(model.ModelDocument(model.DTDL, json.dumps(document).encode()))
    world.script.say(ENGINEER, SHAPED, model.MODEL, said, at=world.now)
    world.take()
    return SHAPED


def shaped(desk: Desk, data: bytes) -> str:
    """A twin with an alarm on T24 whose shape is this file."""
    twin = desk.world.fresh("twin/shaped")
    desk.world.describe(twin, model=SHAPED, name="Shaped engine")
    desk.world.read(twin, T24=645.0)
    digest = desk.world.live.node.blobs.put(data).hex()
    rule = Rule("hot", "T24", Test.ABOVE, 640.0, Severity.HIGH, text="Too hot")
    desk.world.script.say(ENGINEER, twin, RULE_KIND, format_rule(rule), at=desk.world.now)
    desk.world.script.describe(ENGINEER, Description(set={"model3d": digest}), subject=twin, at=desk.world.now)
    desk.world.raise_alarm(twin, "hot", 645.0)
    return twin


def test_a_twins_own_gltf_file(desk: Desk, shaped_model: str) -> None:
    data = gltf()
    page = opened(desk, shaped(desk, data))
    view = panel(page, "3-D view")
    expect(view).to_contain_text("Shape of the file")
    expect(row(page, "3-D view", "T24 probe")).to_contain_text("Too hot")
    expect(row(page, "3-D view", "casing")).to_contain_text("Good")
    assert colours(page, view.get_by_role("application")) > 1


HOSTILE: dict[str, tuple[bytes, str]] = {
    "another origin": (gltf({"buffers": [{"uri": "https://evil.example/x.bin", "byteLength": 42}]}), "other files"),
    "a path": (gltf({"buffers": [{"uri": "../../checkpoint", "byteLength": 42}]}), "other files"),
    "a node in itself": (gltf({"nodes": [{"children": [1]}, {"children": [0]}]}), "more than"),
    "a billion points": (
        gltf({"accessors": [{"bufferView": 0, "componentType": 5126, "count": 10**9, "type": "VEC3"}] * 2}),
        "more than",
    ),
    "beyond its buffer": (gltf({"bufferViews": [{"buffer": 0, "byteLength": 9999}] * 2}), "can be read here"),
    "an index of no vertex": (
        gltf(binary=struct.pack("<9f", *range(9)) + struct.pack("<3H", 0, 1, 7) + b"\0\0"),
        "can be read here",
    ),
    "a required extension": (gltf({"extensionsRequired": ["KHR_draco_mesh_compression"]}), "can be read here"),
    "no glTF": (b"\x00\x01 nothing", "can be read here"),
    "too large": (gltf(binary=bytes(17 * 1024 * 1024)), "larger than 16 MB"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_and_asks_for_nothing(desk: Desk, shaped_model: str, what: str) -> None:
    data, words = HOSTILE[what]
    page = opened(desk, shaped(desk, data))
    view = panel(page, "3-D view")
    expect(view).to_contain_text("was not taken")
    expect(view).to_contain_text(words)
    expect(row(page, "3-D view", "Compressor")).to_contain_text("Too hot")


# --- for everybody --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(desk: Desk, axe: Axe, shot: Shot, scheme: str) -> None:
    page = opened(desk, desk.world.engine(2), color_scheme=scheme)
    expect(panel(page, "3-D view").locator("canvas")).to_be_visible()
    expect(panel(page, "Relationships and parts").get_by_role("img")).to_be_visible()
    axe(page)
    panel(page, "Over time").get_by_role("button", name="Table").click()
    panel(page, "Relationships and parts").get_by_role("button", name="List").click()
    axe(page)
    shot(page, f"twin-{scheme}")


def test_a_dialog_passes_axe(desk: Desk, axe: Axe, mixer: str) -> None:
    page = opened(desk, mixer, acting=True)
    panel(page, "Commands").get_by_role("button", name="Send… Mix").click()
    expect(page.get_by_role("dialog", name="Mix")).to_be_visible()
    axe(page)


def test_on_a_phone_nothing_is_wider_than_the_screen(desk: Desk, axe: Axe, shot: Shot) -> None:
    page = desk.phone(desk.world.link(route(desk.world.engine(2))))
    expect(panel(page, "3-D view").locator("canvas")).to_be_visible()
    assert page.evaluate("document.querySelector('main').scrollWidth") <= 360
    axe(page)
    shot(page, "twin-phone")

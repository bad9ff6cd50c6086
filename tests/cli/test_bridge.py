"""`twinproof bridge`: a file played into a real node, what check says, C-MAPSS as messages; the page's examples."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.rig import Cli
from tests.edge.mosquitto import Mosquitto
from twinproof.cli.cmapss_mqtt import format_source
from twinproof.cli.demo_node import NodeProcess
from twinproof.edge.mapping import parse_mapping
from twinproof.exchange.cmapss.layout import FIELDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "connectors.md"
EXAMPLES = dict(re.findall(r"^```toml (\S+)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
ISSUER = "urn:dev:gateway-1#gateway"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_page_are_mappings(name: str) -> None:
    assert list(parse_mapping(EXAMPLES[name].encode(), Path(name)).sources())


def test_the_page_names_every_key() -> None:
    text = PAGE.read_text()
    mapping = parse_mapping(EXAMPLES["plant.toml"].encode(), Path("x"))
    (source,) = mapping.mqtt
    for part in (mapping.gateway, source, source.broker, source.map[0], source.map[0].signals[0]):
        for key in part.__dataclass_fields__:
            assert f"`{key}" in text, key


def test_a_file_is_played_into_a_node(
    cli: Cli, node: Path, serve: Callable[[Path], NodeProcess], tmp_path: Path
) -> None:
    cli("key", "new", tmp_path / "gateway.pem", "--iss", ISSUER)
    cli("grant", tmp_path / "gateway.json", "--can", "record", "--prefix", "https://fleet.example/", "--folder", node)
    process = serve(node)
    rows = "when,machine,temp\n" + "".join(f"2026-01-01T00:00:0{at}Z,m{at % 2},{20 + at}\n" for at in range(8))
    (tmp_path / "history.csv").write_text(rows)
    file = tmp_path / "history.toml"
    text = EXAMPLES["history.toml"].replace("http://127.0.0.1:8600", process.url)
    file.write_text(text.replace('speed = "86400"', 'speed = "fastest"'))
    assert "plays" in cli("bridge", "check", file).stdout
    counts = cli.json("bridge", "run", file)
    assert counts == {
        "sources": {"history": {"taken": 8, "repeated": 0, "rejected": 0}},
        "problems": 0,
        "waiting_bytes": 0,
    }
    shown = cli.json("twin", "show", "https://fleet.example/m1", "--url", process.url)
    assert "27" in json.dumps(shown)
    again = cli("bridge", "run", file).stdout
    assert "history: 0 taken" in again


def test_what_check_refuses(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(EXAMPLES["plant.toml"].replace("[gateway]", "[gatway]"))
    assert "gatway is no key" in cli.error("bridge", "check", file, code=2)["message"]
    file.write_text(EXAMPLES["plant.toml"])
    assert "there is no file" in cli.error("bridge", "run", file, code=2)["message"]
    (tmp_path / "gateway.pem").touch()
    shown = cli.json("bridge", "check", file)
    assert shown["sources"] == [
        {"kind": "mqtt", "name": "plant", "rules": 1, "what": ", subscribes to plant/+/+/state"}
    ]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path).start()
    yield made
    made.stop(signal.SIGKILL)


def test_c_mapss_is_published(cli: Cli, shared: Path, broker: Mosquitto, tmp_path: Path) -> None:
    folder = shared / "data" / "cmapss"
    where = f"127.0.0.1:{broker.port}"
    assert cli.json("bridge", "cmapss", folder, "--units", 1, "--broker", where) == {
        "dataset": "FD001",
        "engines": 1,
        "published": 192,
    }
    file = tmp_path / "engines.toml"
    cli("bridge", "cmapss", folder, "--mapping", file, "--broker", where)
    assert file.read_text() == format_source("127.0.0.1", broker.port)
    gateway = EXAMPLES["plant.toml"].split("[[mqtt]]")[0]
    (source,) = parse_mapping((gateway + file.read_text()).encode(), file).mqtt
    assert len(source.map[0].signals) == len(FIELDS) + 1
    cli.error("bridge", "cmapss", folder, "--mapping", file, code=2)
    cli.error("bridge", "cmapss", folder, "--broker", "nowhere", code=2)

"""The mapping file: one TOML file that says which topics, nodes or columns are which signals of which twins.

    [gateway]
    issuer = "urn:dev:gateway-1#gateway"      # who signs; ends in #gateway (edge.marking)
    key = "gateway.pem"                       # PKCS #8, mode 0600; paths are relative to this file
    outbox = "gateway.outbox"
    node = "https://twin.example"
    log_keys = ["twin.example/log0+…"]        # optional: believe no acknowledgement without a valid receipt

    [[mqtt]]                                  # a source; any number of them, of any kind
    name = "plant"
    [mqtt.broker]
    host = "broker.example"
    [[mqtt.map]]                              # a rule: what it takes, which twin that is, and the signals in it
    topic = "plant/{line}/{machine}/state"
    twin = "https://fleet.example/{line}/{machine}"
    payload = "json"
    time = { at = "/ts", format = "ms" }
    signals = [
      { name = "temperature", at = "/t", unit = "Cel" },
      { name = "speed", at = "/n", unit = "1/min", scale = 0.1 },
    ]

`load_mapping` reads it strictly: an unknown key, a unit that is none, a template without its group are refused with
file, table and key. docs/connectors.md explains every key.

To add a protocol: a rule and a source dataclass in `edge.sources`, its line in `Mapping`, a module with the connector,
its line in `edge.gateway.CONNECTORS`, a section of docs/connectors.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from twinproof.edge.marking import check_gateway_iri
from twinproof.edge.settings import (
    Place,
    boolean,
    decimal,
    file_path,
    listed,
    number,
    parsed,
    read_table,
    table,
    tables,
)
from twinproof.edge.signals import url
from twinproof.edge.sources import FileSource, MqttSource, OpcuaSource, SparkplugSource, Tls
from twinproof.errors import ConfigError
from twinproof.proof.note import VerifierKey, parse_verifier_key

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes of a mapping file."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Who signs, where it is kept, where it goes."""

    issuer: Annotated[str, parsed(check_gateway_iri)]
    key: Annotated[Path, file_path]
    outbox: Annotated[Path, file_path]
    node: Annotated[str, parsed(url("https", "http"))]
    ca: Annotated[Path | None, file_path] = None
    """PEM file of authorities for the node, instead of the system's."""
    log_keys: Annotated[tuple[VerifierKey, ...], listed(parsed(parse_verifier_key))] = ()
    describe: Annotated[bool, boolean] = False
    """Whether each twin's description names the sources that feed it; takes the capability describe."""
    batch: Annotated[int, number(1, 100_000)] = 1000
    """Samples that close a batch."""
    interval: Annotated[float, decimal(0, 3600)] = 1.0
    """Seconds after its first sample when a batch is closed at the latest."""
    outbox_mib: Annotated[int, number(1, 1 << 20)] = 256
    """MiB that may wait for delivery."""


Source = MqttSource | SparkplugSource | OpcuaSource | FileSource


@dataclass(frozen=True, slots=True)
class Mapping:
    """A whole mapping file."""

    gateway: Annotated[Gateway, table(Gateway)]
    mqtt: Annotated[tuple[MqttSource, ...], tables(MqttSource)] = ()
    sparkplug: Annotated[tuple[SparkplugSource, ...], tables(SparkplugSource)] = ()
    opcua: Annotated[tuple[OpcuaSource, ...], tables(OpcuaSource)] = ()
    file: Annotated[tuple[FileSource, ...], tables(FileSource)] = ()

    def sources(self) -> Iterator[tuple[str, Source]]:
        """(kind, source) of all sources, in the order of the kinds."""
        for kind in ("mqtt", "sparkplug", "opcua", "file"):
            for source in getattr(self, kind):
                yield kind, source

    def check(self, place: Place) -> None:
        """There are sources, and their names differ."""
        names: set[str] = set()
        for kind, source in self.sources():
            if source.name in names:
                raise place.inside(kind).error("name", f"{source.name!r} is the name of an earlier source")
            names.add(source.name)
        if not names:
            raise ConfigError(f"{place.file}: there is no source, such as [[mqtt]]")


def load_mapping(file: Path) -> Mapping:
    """Read a mapping file; raises `ConfigError` naming file, table and key."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as problem:
        raise ConfigError(f"{file}: {problem.strerror}") from None
    if len(data) > MAX_FILE:
        raise ConfigError(f"{file}: over {MAX_FILE} bytes")
    return parse_mapping(data, file)


def parse_mapping(data: bytes, file: Path) -> Mapping:
    """Read the bytes of a mapping file; `file` names it in errors and is where relative paths begin."""
    try:
        value = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise ConfigError(f"{file}: {problem}") from None
    return read_table(Mapping, value, Place(file))


def check_mapping(file: Path) -> Mapping:
    """`load_mapping`, and what it names is there: key files, certificates, secrets' files, replayed files."""
    mapping = load_mapping(file)
    for where, key, needed in _files(mapping):
        if needed is not None and not needed.is_file():
            raise ConfigError(f"{file}: {where}: {key}: there is no file {needed}")
    return mapping


def _files(mapping: Mapping) -> Iterator[tuple[str, str, Path | None]]:
    """(table, key, file) of everything that must be there."""
    yield "gateway", "key", mapping.gateway.key
    yield "gateway", "ca", mapping.gateway.ca
    for kind, source in mapping.sources():
        where = f"{kind} {source.name!r}"
        if isinstance(source, FileSource):
            yield where, "path", source.path
            continue
        holder: Tls | OpcuaSource
        if isinstance(source, OpcuaSource):
            holder, names, password = source, ("cert", "key", "server_cert"), source.password
        else:
            holder, names, password = source.broker.tls or Tls(), ("ca", "cert", "key"), source.broker.password
        for name in names:
            yield where, name, getattr(holder, name)
        yield where, "password", password.file if password else None

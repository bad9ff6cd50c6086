"""From documents to a model: reads, resolves, then checks what needs the whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from twinproof.models.dtdl import constraints, jsontext, limits
from twinproof.models.dtdl.elements import Element, Model
from twinproof.models.dtdl.engine import Reader
from twinproof.models.dtdl.facts.core import LIMITS
from twinproof.models.dtdl.options import Options
from twinproof.models.dtdl.report import Report
from twinproof.models.dtdl.resolve import Resolver, resolve

_SMALLEST_LIMIT = min(limits_["interface_bytes"] or 1 << 62 for limits_ in LIMITS.values())


class _Documents:
    """Takes documents in any of the accepted forms and hands them to the reader."""

    def __init__(self, reader: Reader, report: Report, options: Options) -> None:
        self._reader = reader
        self._report = report
        self._options = options
        self._room = options.max_bytes
        self._count = 0

    def read(self, documents: object) -> None:
        for document in _listed(documents):
            name = str(self._count)
            self._count += 1
            try:
                if isinstance(document, (str, bytes)):
                    value = jsontext.read(document, self._room, self._options.max_depth)
                    self._room -= len(document)
                else:
                    self._room -= jsontext.check_value(document, self._room, self._options.max_depth)
                    value = document
            except jsontext.BadJson as error:
                rule = "json-size" if "larger" in str(error) else "json"
                self._report.add(f"document {name}", name, rule, str(error))
                continue
            self._reader.document(value, name)
            self._measure(document, value)

    def _measure(self, document: object, value: object) -> None:
        """Checks the size of Interfaces, where the document is large enough to break a limit."""
        if isinstance(document, bytes):
            text = document.decode("utf-8") if len(document) > _SMALLEST_LIMIT else ""
        else:
            text = (
                document if isinstance(document, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            )
        if len(text) * 4 > _SMALLEST_LIMIT:
            check_sizes(self._report, self._reader, text, value)


def check_sizes(report: Report, reader: Reader, text: str, value: object) -> None:
    """The text of an Interface, without the Interfaces inside it, must not be longer than its limit."""
    net: dict[int, int] = {}
    held: list[tuple[Element, int]] = []
    for size, item in zip(jsontext.object_sizes(text), jsontext.objects_in_order(value), strict=True):
        element = reader.objects.get(id(item))
        if element is None or not element.fact.partition:
            continue
        net[id(element)] = size
        held.append((element, size))
        above = element.parent
        while above is not None and not above.fact.partition:
            above = above.parent
        if above is not None and id(above) in net:
            net[id(above)] -= size
    for element, _ in held:
        most = element.context.limits.get("interface_bytes") if element.context else None
        if most is not None and net[id(element)] > most:
            cause = f"the Interface has {net[id(element)]} bytes, at most {most} are allowed"
            report.add(element, element.path, "interface-size", cause)


def _listed(documents: object) -> list[Any]:
    if isinstance(documents, (str, bytes, Mapping)):
        return [documents]
    if isinstance(documents, Iterable):
        return list(documents)
    return [documents]


def parse(
    documents: object, *, options: Options | Iterable[str] | None = None, resolver: Resolver | None = None
) -> Model:
    """Reads DTDL documents (versions 2, 3 and 4) into a model.

    `documents`: one JSON text (`str` or `bytes`) or parsed object, or an iterable of documents, each a JSON text, a
    parsed object or a parsed array of objects. `options`: `Options`, or their published names, such as
    `["DisallowUndefinedExtensions"]`. `resolver` is asked for DTMIs that the documents refer to and do not define.
    Raises: ParsingError, with everything that is wrong.
    """
    chosen = options if isinstance(options, Options) else Options.named(options or ())
    report = Report(chosen.max_findings)
    reader = Reader(report, chosen)
    source = _Documents(reader, report, chosen)
    source.read(documents)
    resolve(reader, report, resolver, source.read)
    report.check()
    elements = reader.everything
    interfaces = [element for element in elements if element.fact.partition]
    limits.check_cycles(report, elements)
    report.check()
    limits.check_depths(report, elements)
    limits.check_counts(report, elements, chosen.max_work)
    contents = limits.inherit(report, interfaces, chosen.max_work)
    limits.check_inherited_count(report, interfaces, contents)
    limits.check_exclusions(report, elements, contents)
    constraints.check_elements(report, elements, contents)
    report.check()
    for element in elements:
        for member, value in element.values.items():
            if isinstance(value, list):
                element.values[member] = tuple(value)
    return Model({element.id: element for element in elements}, contents)

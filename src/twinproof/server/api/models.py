"""Models: which are published, their documents as their authors wrote them, what an Interface defines.

Models are the fleet's vocabulary: whoever holds a token may read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from twinproof.errors import NotFound
from twinproof.models import dtdl
from twinproof.models.dtdl.elements import Element
from twinproof.node.live import Live
from twinproof.node.statements import logged
from twinproof.server import shapes
from twinproof.server.access import Rule
from twinproof.server.api.routing import PREFIX, Heavy, derived, make_router
from twinproof.server.api.twins import MODEL_SCHEME
from twinproof.server.forms import REACHED, answer
from twinproof.server.parameters import AtLeast, Iri, Limit, wait_for
from twinproof.twin.model import ModelDocument, parse_model

RULES = {
    f"{PREFIX}/models": Rule.HOLDER,
    f"{PREFIX}/models/document": Rule.HOLDER,
    f"{PREFIX}/models/summary": Rule.HOLDER,
}
DOCUMENT = "application/json"
MAX_SCHEMAS: Final = 300
"""Complex schemas of one field that are written out."""
Id = Annotated[Iri, Query(description="The model's identifier.", examples=["dtmi:com:example:engine;1"])]


def router(live: Live, heavy: Heavy) -> APIRouter:
    """The routes, on an open node."""
    made = make_router("models", "/models")
    published = Published(live)

    @made.get("", responses=derived(shapes.ModelList), summary="List models")
    async def models(
        after: Annotated[str, Query(max_length=512, description="`next` of the page before.")] = "",
        limit: Limit = 100,
        at_least: AtLeast = None,
    ) -> Response:
        """Published models in the order of their identifiers."""
        await wait_for(live.states, at_least, live.feed.size)
        return await run_in_threadpool(published.page, after, limit)

    @made.get(
        "/document",
        summary="A model's document",
        responses={200: {"description": "As published", "content": {DOCUMENT: {"schema": {}}}}},
        response_class=Response,
    )
    async def document(id: Id, at_least: AtLeast = None) -> Response:
        """The bytes that were signed: JSON of the model's language."""
        await wait_for(live.states, at_least, live.feed.size)
        reached = live.states.reached
        _, found = await run_in_threadpool(published.find, id)
        return Response(found.document, headers={REACHED: str(reached)}, media_type=DOCUMENT)

    @made.get("/summary", responses=derived(shapes.ModelSummary), summary="What a model defines")
    async def summary(id: Id, at_least: AtLeast = None) -> Response:
        """Properties, telemetry, commands, relationships and components by name, inherited ones included."""
        await wait_for(live.states, at_least, live.feed.size)
        reached = live.states.reached
        return answer(await heavy.run(lambda: published.summary(id)), reached=reached)

    return made


class Published:
    """Model documents in the log. They never change, so what was read once is kept."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.find = lru_cache(maxsize=1000)(self._find)
        self.summary = lru_cache(maxsize=1000)(self._summary)

    def page(self, after: str, limit: int) -> Response:
        """A page of what is published."""
        reached = self._live.states.reached
        items: list[dict[str, Any]] = []
        while len(items) <= limit:
            page = self._live.states.twins(prefix=MODEL_SCHEME, after=after, limit=limit + 1)
            for row in page:
                entry = self._entry(row.subject)
                if entry is not None:
                    items.append({"id": row.subject, "entry": entry})
            if len(page) <= limit:
                break
            after = page[-1].subject
        following = items[limit - 1]["id"] if len(items) > limit else None
        return answer({"items": items[:limit], "next": following}, reached=reached)

    def _entry(self, identifier: str) -> int | None:
        """The entry that publishes the model: its first of this kind, later ones repeat it."""
        found = self._live.states.history(identifier, kind="model", limit=1)
        return found[0].entry if found else None

    def _find(self, identifier: str) -> tuple[int, ModelDocument]:
        entry = self._entry(identifier)
        if entry is None:
            raise NotFound(f"the log holds no model {identifier}")
        return entry, parse_model(logged(self._live.node.reader, entry).payload)

    def _resolve(self, identifiers: Sequence[str]) -> list[bytes]:
        names = {name.partition("#")[0] for name in identifiers}
        return [self.find(name)[1].document for name in sorted(names) if self._entry(name) is not None]

    def _summary(self, identifier: str) -> dict[str, Any]:
        entry, published = self.find(identifier)
        parsed = dtdl.parse(published.document, resolver=self._resolve)
        compiled = dtdl.compile(parsed, identifier)
        element = parsed.interfaces[identifier]
        return {
            "id": identifier,
            "entry": entry,
            "language": published.language,
            "display_name": dict(element.display_name),
            "description": dict(element.description),
            "extends": [parent.id for parent in element.all("extends")],
            "properties": {name: _field(field.element) for name, field in compiled.properties.items()},
            "telemetry": {name: _field(field.element) for name, field in compiled.telemetry.items()},
            "commands": {
                name: {
                    **_words(command.element),
                    "request": _field(command.request.element) if command.request else None,
                    "response": _field(command.response.element) if command.response else None,
                }
                for name, command in compiled.commands.items()
            },
            "relationships": {
                name: {**_words(link.element), "target": link.target, "least": link.least, "most": link.most}
                for name, link in compiled.relationships.items()
            },
            "components": {name: part.id for name, part in compiled.components.items()},
        }


def _words(element: Element) -> dict[str, Any]:
    return {"display_name": dict(element.display_name), "description": dict(element.description)}


def _field(element: Element) -> dict[str, Any]:
    return {
        **_words(element),
        "name": element.name,
        "schema": _schema(element.schema),
        "unit": element.unit,
        "semantic_types": list(element.semantic_types),
        "writable": element.writable,
    }


def _schema(schema: Element | None, room: list[int] | None = None) -> Any:
    """A primitive schema's name; a complex one's kind, identifier and, while there is room, what it is made of."""
    if schema is None:
        return None
    if schema.term:
        return schema.term
    # Schemas may share others: written out, a few could become millions.
    room = room or [MAX_SCHEMAS]
    room[0] -= 1
    shown: dict[str, Any] = {"kind": schema.kind, "id": schema.id}
    if room[0] > 0:
        shown |= _inner(schema, room)
    return shown


def _inner(schema: Element, room: list[int]) -> dict[str, Any]:
    match schema.kind:
        case "Enum":
            values = schema.all("enumValues")
            return {
                "of": _schema(schema.only("valueSchema"), room),
                "values": [{**_words(one), "name": one.name, "value": one.values["enumValue"]} for one in values],
            }
        case "Object":
            fields = schema.all("fields")
            return {
                "fields": [{**_words(one), "name": one.name, "schema": _schema(one.schema, room)} for one in fields]
            }
        case "Array":
            return {"of": _schema(schema.only("elementSchema"), room)}
        case "Map":
            value = schema.only("mapValue")
            return {"of": _schema(value.schema if value else None, room)}
    return {}

"""Rules about paths through the model: circles, depths, counts and exclusions, as the tables in `facts.core` say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from twinproof.models.dtdl.elements import Element
from twinproof.models.dtdl.facts import build, core
from twinproof.models.dtdl.report import Report

Edge = tuple[str, Element]


def _may_recur(member: str, child: Element) -> bool:
    """Whether a path may lead back through this edge."""
    return (
        member in core.RECURSIVE_THROUGH
        and child.belongs("ComplexSchema")
        and build.LANGUAGES[child.version].recursive_schemas
    )


def check_cycles(report: Report, elements: Iterable[Element]) -> bool:
    """No element may have a path to itself, but through schemas that may be recursive. True when there is no circle."""
    done: dict[int, bool] = {}  # False while the element is on the current path
    fine = True
    for root in elements:
        if id(root) in done:
            continue
        done[id(root)] = False
        path: list[tuple[Element, Iterator[Edge]]] = [(root, root.children())]
        while path:
            element, edges = path[-1]
            edge = next(edges, None)
            if edge is None:
                done[id(element)] = True
                path.pop()
                continue
            member, child = edge
            state = done.get(id(child))
            if child.standard is not None or _may_recur(member, child):
                continue
            if state is None:
                done[id(child)] = False
                path.append((child, child.children()))
            elif state is False:
                fine = False
                report.add(element, f"{element.path}.{member}", "cycle", f"{member} leads back to {child.id}")
    return fine


def _longest_paths(
    roots: Iterable[Element], edges: Callable[[Element], Iterator[tuple[int, Element]]]
) -> dict[int, int]:
    """Element identity -> weight of the heaviest path from it. Edges that close a circle are not followed."""
    weights: dict[int, int] = {}
    running: set[int] = set()
    for root in roots:
        if id(root) in weights:
            continue
        stack: list[tuple[Element, Iterator[tuple[int, Element]], list[int]]] = [(root, edges(root), [0, 0])]
        running.add(id(root))
        while stack:
            element, rest, best = stack[-1]
            edge = next(rest, None)
            if edge is None:
                weights[id(element)] = best[0]
                running.discard(id(element))
                stack.pop()
                if stack:
                    above = stack[-1][2]
                    above[0] = max(above[0], above[1] + best[0])
                continue
            weight, child = edge
            if id(child) in running:
                continue
            known = weights.get(id(child), 0 if child.standard else None)
            if known is not None:
                best[0] = max(best[0], weight + known)
            else:
                best[1] = weight
                running.add(id(child))
                stack.append((child, edges(child), [0, 0]))
    return weights


def check_depths(report: Report, elements: list[Element]) -> None:
    for row in core.DEPTHS:

        def edges(element: Element, row: core.Depth = row) -> Iterator[tuple[int, Element]]:
            for member, child in element.children():
                if member in row.follow:
                    yield 1, child
                elif row.through_all and not child.fact.partition:
                    yield 0, child

        roots = [element for element in elements if element.belongs(row.of)]
        weights = _longest_paths(roots, edges)
        for element in roots:
            most = element.context.limits.get(row.limit) if element.context else None
            if most is not None and weights[id(element)] > most:
                members = " or ".join(row.follow)
                cause = f"a path of {weights[id(element)]} {members} members begins here, at most {most} are allowed"
                report.add(element, element.path, row.rule, cause)


def check_counts(report: Report, elements: list[Element], max_work: int) -> None:
    for row in core.COUNTS:
        total = sum(1 for element in elements for member, _ in element.children() if member in row.follow)
        roots = [element for element in elements if element.belongs(row.of)]
        spent = 0
        for root in roots:
            most = root.context.limits.get(row.limit) if root.context else None
            if most is None or total <= most:
                continue
            count = _count(root, row, most)
            spent += count
            if count > most:
                report.add(
                    root, root.path, row.rule, f"{' and '.join(row.follow[:2])} hold more than {most} values in all"
                )
            if spent > max_work:
                report.add(root, root.path, "work", "counting the contents of all Interfaces takes too long")
                return


def _count(root: Element, row: core.Count, most: int) -> int:
    """Values in all `follow` members on paths from the root; stops above `most`."""
    seen = {id(root)}
    waiting = [root]
    count = 0
    members = (*row.follow, "extends") if row.inherit else row.follow
    while waiting and count <= most:
        element = waiting.pop()
        for member in members:
            children = element.all(member)
            if member in row.follow:
                count += len(children)
            for child in children:
                if child.standard is None and id(child) not in seen:
                    seen.add(id(child))
                    waiting.append(child)
    return count


class _Heir(Mapping[str, Element]):
    """Contents of an Interface that extends one other: its own beside the inherited ones, which are not copied."""

    def __init__(self, own: Mapping[str, Element], base: Mapping[str, Element]) -> None:
        self._own = own
        self._base = base

    def __getitem__(self, name: str) -> Element:
        return self._own[name] if name in self._own else self._base[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._base
        yield from self._own

    def __len__(self) -> int:
        return len(self._base) + len(self._own)


_COPY = 10
"""Steps that copying one inherited content counts for: it costs memory too."""


def inherit(report: Report, interfaces: Iterable[Element], max_work: int) -> dict[str, Mapping[str, Element]]:
    """Interface -> contents by name, inherited ones included; names that clash are findings. There is no circle."""
    done: dict[int, Mapping[str, Element]] = {}
    spent = 0
    for root in interfaces:
        waiting = [root]
        while waiting:
            interface = waiting[-1]
            bases = interface.all("extends")
            open_ = [base for base in bases if id(base) not in done]
            if open_:
                waiting += open_
                continue
            waiting.pop()
            if id(interface) in done:
                continue
            merged: dict[str, Element] = {}
            if len(bases) > 1:
                for base in bases:
                    spent += _COPY * len(done[id(base)])
                    if spent > max_work:
                        report.add(interface, interface.path, "work", "the Interfaces inherit too much from each other")
                        report.check()
                    _merge(report, interface, merged, {}, done[id(base)].values())
            inherited = done[id(bases[0])] if len(bases) == 1 else merged
            own: dict[str, Element] = {}
            _merge(report, interface, own, inherited, interface.all("contents"))
            done[id(interface)] = _Heir(own, inherited) if own and inherited else own or inherited
    return {interface.id: MappingProxyType(done[id(interface)]) for interface in interfaces}


def _merge(
    report: Report,
    interface: Element,
    merged: dict[str, Element],
    inherited: Mapping[str, Element],
    source: Iterable[Element],
) -> None:
    """Adds contents to `merged`; a name that is there already, or is inherited, must be that of the same content."""
    for child in source:
        name = str(child.name)
        other = inherited.get(name) or merged.setdefault(name, child)
        if other is not child:
            owner = "its own contents" if child.parent is interface else child.partition().id
            cause = f"{name} is the name of two contents, from {other.partition().id} and {owner}"
            report.add(interface, f"{interface.path}.contents", "not-unique", cause, "rename one of the contents")


def check_inherited_count(
    report: Report, interfaces: Iterable[Element], contents: Mapping[str, Mapping[str, Element]]
) -> None:
    """A limit on `contents` includes what is inherited."""
    for interface in interfaces:
        most = interface.fact.properties["contents"].high
        count = len(contents[interface.id])
        if most is not None and count > most and len(interface.all("contents")) <= most:
            cause = f"contents hold {count} elements with inherited ones, at most {most} are allowed"
            report.add(interface, f"{interface.path}.contents", "too-many", cause)


def check_exclusions(report: Report, elements: list[Element], contents: Mapping[str, Mapping[str, Element]]) -> None:
    for row in core.EXCLUSIONS:
        found: dict[int, bool] = {}
        for element in elements:
            if not element.belongs(row.of) or element.version not in row.versions:
                continue
            culprit = _excluded(element, row, contents, found)
            if culprit:
                cause = f"the {row.of} leads to {culprit}, and no {row.kind} is allowed below it"
                report.add(element, element.path, row.rule, cause)


def _steps(element: Element, row: core.Exclude, contents: Mapping[str, Mapping[str, Element]]) -> Iterator[Edge]:
    """Edges of the paths that the row speaks of; an Interface's contents include inherited ones."""
    for member, child in element.children():
        if member == "contents" and element.fact.partition:
            continue
        if row.through_all or member in row.follow:
            yield member, child
    if "contents" in row.follow and element.fact.partition:
        yield from (("contents", child) for child in contents.get(element.id, {}).values())


def _excluded(
    start: Element, row: core.Exclude, contents: Mapping[str, Mapping[str, Element]], known: dict[int, bool]
) -> str | None:
    """What the row forbids and a path from `start` reaches. `known`: elements that lead to nothing forbidden."""
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        for member, child in _steps(waiting.pop(), row, contents):
            holds = row.kind == "Array" and child.standard is not None and child.given in build.ARRAY_HOLDERS
            if (child.belongs(row.kind) or holds) and member in row.follow:
                return child.id
            if child.standard is None and id(child) not in seen and not known.get(id(child)):
                seen.add(id(child))
                waiting.append(child)
    known.update(dict.fromkeys(seen, True))
    return None

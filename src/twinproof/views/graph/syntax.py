"""What a query says: its syntax tree, and the tree as text again (`parse(format_query(q)) == q`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

KEYWORDS: Final = frozenset(
    "MATCH WHERE RETURN DISTINCT AS ORDER BY ASC DESC SKIP LIMIT AND OR NOT XOR IN IS NULL TRUE FALSE STARTS ENDS WITH "  # noqa: SIM905 - reads better
    "CONTAINS EXISTS".split()
)
"""Words that name a variable only in backquotes; in any case."""
AGGREGATES: Final = ("count", "sum", "min", "max", "avg")
FUNCTIONS: Final = ("type", "reading", "alarm")
_NAME = re.compile(r"[^\W\d]\w*\Z", re.ASCII)

Scalar = None | bool | int | float | str
Place = int
"""Of the first character in the query's text, from 0; trees are equal wherever they stood."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Scalar
    at: Place = field(default=0, compare=False)

    def __eq__(self, other: object) -> bool:
        # 1, 1.0 and TRUE are equal to Python, not to a query.
        return isinstance(other, Literal) and (type(self.value), self.value) == (type(other.value), other.value)

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Parameter:
    """$name."""

    name: str
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Variable:
    """A node, a relationship, or in ORDER BY a column."""

    name: str
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Property:
    """e.name, or e['name']: always the reported property, never a built-in attribute."""

    variable: str
    name: str
    reported: bool = False
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an aggregate; count(*) has no arguments."""

    function: str
    arguments: tuple[Expression, ...]
    distinct: bool = False
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """`operator` is = <> < <= > >= STARTS WITH, ENDS WITH or CONTAINS."""

    operator: str
    left: Expression
    right: Expression
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class In:
    """Membership in a list that is written out, or in a parameter."""

    left: Expression
    items: tuple[Expression, ...] | Parameter
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    """IS NULL, IS NOT NULL."""

    operand: Expression
    negated: bool
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """NOT."""

    operand: Expression
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """At least two operands."""

    operands: tuple[Expression, ...]
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Or:
    """At least two operands."""

    operands: tuple[Expression, ...]
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Exists:
    """EXISTS { patterns WHERE … }."""

    patterns: tuple[Path, ...]
    where: Expression | None
    at: Place = field(default=0, compare=False)


Expression = Literal | Parameter | Variable | Property | Call | Compare | In | IsNull | Not | And | Or | Exists


@dataclass(frozen=True, slots=True)
class Label:
    """A model: its IRI in backquotes, or its short name."""

    name: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Node:
    """(variable:label|label {name: value})."""

    variable: str | None = None
    labels: tuple[Label, ...] = ()
    properties: tuple[tuple[str, Literal | Parameter], ...] = ()
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Relationship:
    """-[variable:type|type*least..most]->."""

    direction: str
    """out, in or both."""
    variable: str | None = None
    types: tuple[str, ...] = ()
    hops: tuple[int, int] | None = None
    at: Place = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Path:
    """Nodes with one relationship fewer between them."""

    nodes: tuple[Node, ...]
    relationships: tuple[Relationship, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A column to return."""

    expression: Expression
    alias: str | None = None

    @property
    def column(self) -> str:
        """Its name."""
        return self.alias if self.alias is not None else format_expression(self.expression)


@dataclass(frozen=True, slots=True)
class Sort:
    """A key of ORDER BY."""

    expression: Expression
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """MATCH … WHERE … RETURN …."""

    patterns: tuple[Path, ...]
    where: Expression | None
    items: tuple[Item, ...]
    distinct: bool = False
    order: tuple[Sort, ...] = ()
    skip: Literal | Parameter | None = None
    limit: Literal | Parameter | None = None


def format_query(query: Query) -> str:
    """The query in one line and canonical form."""
    parts = [f"MATCH {_patterns(query.patterns)}"]
    if query.where is not None:
        parts.append(f"WHERE {format_expression(query.where)}")
    items = ", ".join(
        format_expression(item.expression) + ("" if item.alias is None else f" AS {_name(item.alias)}")
        for item in query.items
    )
    parts.append(f"RETURN {'DISTINCT ' if query.distinct else ''}{items}")
    if query.order:
        keys = (format_expression(key.expression) + (" DESC" if key.descending else "") for key in query.order)
        parts.append(f"ORDER BY {', '.join(keys)}")
    if query.skip is not None:
        parts.append(f"SKIP {format_expression(query.skip)}")
    if query.limit is not None:
        parts.append(f"LIMIT {format_expression(query.limit)}")
    return " ".join(parts)


def format_expression(expression: Expression) -> str:
    """An expression as text; operands that are not simple stand in parentheses."""
    match expression:
        case Literal():
            return _literal(expression.value)
        case Parameter():
            return f"${_name(expression.name)}"
        case Variable():
            return _name(expression.name)
        case Property(variable, name, reported):
            return f"{_name(variable)}[{_literal(name)}]" if reported else f"{_name(variable)}.{_name(name, True)}"
        case Call(function, arguments, distinct):
            inner = ", ".join(map(format_expression, arguments)) or ("*" if function == "count" else "")
            return f"{function}({'DISTINCT ' if distinct else ''}{inner})"
        case Compare(operator, left, right):
            return f"{_operand(left)} {operator} {_operand(right)}"
        case In(left, items):
            listed = format_expression(items) if isinstance(items, Parameter) else _list(items)
            return f"{_operand(left)} IN {listed}"
        case IsNull(operand, negated):
            return f"{_operand(operand)} IS {'NOT ' if negated else ''}NULL"
        case Not(operand):
            return f"NOT {_operand(operand)}"
        case And(operands):
            return " AND ".join(map(_operand, operands))
        case Or(operands):
            return " OR ".join(map(_operand, operands))
        case Exists(patterns, where):
            condition = "" if where is None else f" WHERE {format_expression(where)}"
            return f"EXISTS {{ {_patterns(patterns)}{condition} }}"


def _operand(expression: Expression) -> str:
    text = format_expression(expression)
    return f"({text})" if isinstance(expression, Compare | In | IsNull | Not | And | Or) else text


def _list(items: tuple[Expression, ...]) -> str:
    return f"[{', '.join(map(format_expression, items))}]"


def _patterns(patterns: tuple[Path, ...]) -> str:
    return ", ".join(map(_path, patterns))


def _path(path: Path) -> str:
    text = _node(path.nodes[0])
    for relationship, node in zip(path.relationships, path.nodes[1:], strict=True):
        text += _relationship(relationship) + _node(node)
    return text


def _node(node: Node) -> str:
    text = "" if node.variable is None else _name(node.variable)
    if node.labels:
        text += ":" + "|".join(_quoted(label.name) if label.exact else label.name for label in node.labels)
    if node.properties:
        text += " " if text else ""
        text += "{" + ", ".join(f"{_name(n, True)}: {format_expression(v)}" for n, v in node.properties) + "}"
    return f"({text})"


def _relationship(relationship: Relationship) -> str:
    text = "" if relationship.variable is None else _name(relationship.variable)
    if relationship.types:
        text += ":" + "|".join(_name(name, True) for name in relationship.types)
    if relationship.hops:
        text += "*{}..{}".format(*relationship.hops)
    left, right = {"out": ("-", "->"), "in": ("<-", "-"), "both": ("-", "-")}[relationship.direction]
    return f"{left}[{text}]{right}" if text else left + right


def _name(name: str, keyword: bool = False) -> str:
    plain = _NAME.match(name) and (keyword or name.upper() not in KEYWORDS)
    return name if plain else _quoted(name)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _literal(value: Scalar) -> str:
    if isinstance(value, str):
        for character, escape in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\r", "\\r")):
            value = value.replace(character, escape)
        return f"'{value}'"
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
    return repr(value)

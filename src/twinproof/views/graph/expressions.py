"""Expressions as SQL.

A value is one SQL expression in the form of `state.values`; a condition is 1, 0 or NULL for unknown.
Values of different types are not equal, and their order is unknown: SQLite would order them, so
comparisons are guarded by type. Where unknown and false lead to the same (`exact=False`), the guards
are such that SQLite can still use an index.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from twinproof.errors import InternalError
from twinproof.views.graph.binding import Binder
from twinproof.views.graph.syntax import (
    And,
    Call,
    Compare,
    Exists,
    Expression,
    In,
    IsNull,
    Literal,
    Not,
    Or,
    Parameter,
    Property,
    Scalar,
    Variable,
)

ATTRIBUTES: Final = ("iri", "model", "lifecycle", "lastEntry", "statements", "alarms")
"""What every node has besides its reported properties."""

NUMBER, TEXT, BOOLEAN, NULL, ANY = "number", "text", "boolean", "null", "any"
_OTHER_SIDE: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_IS: Final = {
    NUMBER: "typeof({0}) IN ('integer', 'real')",
    TEXT: "typeof({0}) = 'text'",
    BOOLEAN: "(typeof({0}) = 'blob' AND length({0}) = 1)",
}
_CLASS: Final = (
    "CASE typeof({0}) WHEN 'integer' THEN 1 WHEN 'real' THEN 1 WHEN 'text' THEN 2 "
    "WHEN 'blob' THEN CASE length({0}) WHEN 1 THEN 3 END END"
)


class Value(NamedTuple):
    """An expression's SQL."""

    sql: str
    kind: str
    """Its type, as far as it is known; it may be null all the same."""
    constant: Scalar = None
    """Its value, if it is a constant."""


class NodeTables(NamedTuple):
    """Where a node's row is."""

    twin: str
    """Alias of `twin`."""
    status: str
    """Alias of what holds model and lifecycle at the moment asked about."""


class Names(Protocol):
    """What expressions need to know of the patterns that they stand in."""

    @property
    def binder(self) -> Binder: ...

    def node(self, name: str) -> NodeTables | None:
        """The tables of a node's variable."""

    def link(self, name: str) -> str | None:
        """The alias of a relationship's variable."""

    def joined(self, variable: str, name: str) -> str | None:
        """The SQL of a property that is joined already."""

    def exists(self, expression: Exists) -> str:
        """The condition that a pattern is there."""


def truth(names: Names, expression: Expression, *, exact: bool) -> str:
    """An expression as a condition."""
    match expression:
        case And(operands):
            return "(" + " AND ".join(truth(names, operand, exact=exact) for operand in operands) + ")"
        case Or(operands):
            return "(" + " OR ".join(truth(names, operand, exact=exact) for operand in operands) + ")"
        case Not(operand):
            return f"(NOT {truth(names, operand, exact=True)})"
        case Compare():
            return _compare(names, expression, exact)
        case In(left, items):
            listed = (
                [bound(names.binder, item) for item in names.binder.scalars(items)]
                if isinstance(items, Parameter)
                else [value(names, item) for item in items]
            )
            return f"({value(names, left).sql} IN ({', '.join(item.sql for item in listed)}))"
        case IsNull(operand, negated):
            return f"({value(names, operand).sql} IS {'NOT ' if negated else ''}NULL)"
        case Exists():
            return names.exists(expression)
        case _:
            held = value(names, expression)
            if held.kind in (NUMBER, TEXT):
                raise names.binder.refuse(expression.at, "is no condition; compare it with something")
            return f"(CASE {held.sql} WHEN x'01' THEN 1 WHEN x'00' THEN 0 END)"


def value(names: Names, expression: Expression) -> Value:
    """An expression as a value."""
    match expression:
        case Literal() | Parameter():
            return bound(names.binder, names.binder.scalar(expression))
        case Property():
            return _property(names, expression)
        case Call():
            return _call(names, expression)
        case Variable(name):
            if names.node(name) or names.link(name):
                what = "node" if names.node(name) else "relationship"
                raise names.binder.refuse(expression.at, f"{name} is a {what}, not a value: name one of its properties")
            raise _unknown(names, name, expression.at)
        case _:
            condition = truth(names, expression, exact=True)
            return Value(f"(CASE {condition} WHEN 1 THEN x'01' WHEN 0 THEN x'00' END)", BOOLEAN)


def bound(binder: Binder, constant: Scalar) -> Value:
    """A constant."""
    match constant:
        case None:
            return Value("NULL", NULL)
        case bool():
            return Value("x'01'" if constant else "x'00'", BOOLEAN, constant)
        case str():
            return Value(binder.bind(constant), TEXT, constant)
        case _:
            return Value(binder.bind(constant), NUMBER, constant)


def require_node(names: Names, name: str, at: int) -> NodeTables:
    """The tables of a variable that must be a node."""
    tables = names.node(name)
    if tables is None:
        if names.link(name):
            raise names.binder.refuse(at, f"{name} is a relationship, not a node")
        raise _unknown(names, name, at)
    return tables


def _unknown(names: Names, name: str, at: int) -> Exception:
    return names.binder.refuse(at, f"no variable {name[:40]} in the pattern")


# --- properties and functions -------------------------------------------------------------------


def _property(names: Names, term: Property) -> Value:
    link = names.link(term.variable)
    if link:
        if term.name != "since" or term.reported:
            raise names.binder.refuse(
                term.at, "a relationship has type(r) and r.since, the log index since when it holds"
            )
        return Value(f"+{link}.since", NUMBER)
    node = require_node(names, term.variable, term.at)
    if term.name in ATTRIBUTES and not term.reported:
        return _attribute(names.binder, node, term)
    joined = names.joined(term.variable, term.name)
    if joined is None:
        alias = names.binder.alias("p")
        joined = (
            f"(SELECT {alias}.value FROM property {alias} WHERE {alias}.twin = {node.twin}.id "  # noqa: S608 - names only
            f"AND {alias}.name = {names.binder.bind(term.name)} AND {names.binder.held(alias)})"
        )
    return Value(joined, ANY)


def _attribute(binder: Binder, node: NodeTables, term: Property) -> Value:
    match term.name:
        case "iri":
            return Value(f"{node.twin}.sub", TEXT)
        case "model" | "lifecycle":
            return Value(f"{node.status}.{term.name}", TEXT)
        case "alarms":
            _present_only(binder, term.at, "alarms")
            return Value(f"(SELECT count(*) FROM alarm WHERE alarm.twin = {node.twin}.id)", NUMBER)  # noqa: S608 - names only
        case _ if not binder.past:
            # Unary plus takes the column's affinity away: '5' would equal 5.
            return Value(f"+{node.twin}.{'entry' if term.name == 'lastEntry' else 'statements'}", NUMBER)
        case _:
            number = "max(history.entry)" if term.name == "lastEntry" else "count(*)"
            rows = f"history.twin = {node.twin}.id AND history.entry <= :at"
            return Value(f"(SELECT {number} FROM history WHERE {rows})", NUMBER)  # noqa: S608 - names only


def _present_only(binder: Binder, at: int, what: str) -> None:
    if binder.past:
        raise binder.refuse(at, f"{what} can be asked for the present only, not as of a past entry")


def _call(names: Names, call: Call) -> Value:
    binder = names.binder
    if call.function not in ("type", "reading", "alarm"):
        raise binder.refuse(call.at, f"{call.function}() stands alone, as a column of RETURN or a key of ORDER BY")
    subject = call.arguments[0]
    if not isinstance(subject, Variable):
        raise binder.refuse(call.at, f"{call.function}() begins with a variable")
    if call.function == "type":
        link = names.link(subject.name)
        if link is None:
            raise binder.refuse(subject.at, f"{subject.name[:40]} is no relationship of the pattern")
        return Value(f"{link}.name", TEXT)
    node = require_node(names, subject.name, subject.at)
    _present_only(binder, call.at, {"reading": "readings", "alarm": "alarms"}[call.function])
    argument = call.arguments[1]
    name = binder.scalar(argument) if isinstance(argument, Literal | Parameter) else None
    if not isinstance(name, str):
        raise binder.refuse(argument.at, f"{call.function}() takes a name as text")
    if call.function == "reading":
        binder.uses_readings = True
        return Value(f"twin_reading({node.twin}.state, {binder.bind(name)})", ANY)
    rows = f"alarm.twin = {node.twin}.id AND alarm.rule = {binder.bind(name)}"
    return Value(f"(SELECT alarm.name FROM alarm WHERE {rows})", TEXT)  # noqa: S608 - names and placeholders only


# --- comparisons --------------------------------------------------------------------------------


def _compare(names: Names, test: Compare, exact: bool) -> str:
    sides = (test.left, test.right)
    nodes = [names.node(side.name) for side in sides if isinstance(side, Variable)]
    if len(nodes) == 2 and nodes[0] and nodes[1]:
        if test.operator not in ("=", "<>"):
            raise names.binder.refuse(test.at, "nodes are equal or not; they have no order")
        return f"({nodes[0].twin}.id {test.operator} {nodes[1].twin}.id)"
    left, right = value(names, test.left), value(names, test.right)
    if test.operator in ("=", "<>"):
        return f"({left.sql} {test.operator} {right.sql})"
    if NULL in (left.kind, right.kind):
        return "NULL"
    if test.operator in _OTHER_SIDE:
        return _order(left, test.operator, right, exact)
    return _text(left, test.operator, right, exact)


def _order(left: Value, operator: str, right: Value, exact: bool) -> str:
    if ANY not in (left.kind, right.kind):
        return f"({left.sql} {operator} {right.sql})" if left.kind == right.kind else "NULL"
    if left.kind == right.kind:
        guard = f"{_CLASS.format(left.sql)} = {_CLASS.format(right.sql)}"
    elif left.kind != ANY:
        left, operator, right = right, _OTHER_SIDE[operator], left
        guard = _IS[right.kind].format(left.sql)
    else:
        guard = _IS[right.kind].format(left.sql)
    comparison = f"{left.sql} {operator} {right.sql}"
    if exact:
        return f"(CASE WHEN {guard} THEN {comparison} END)"
    # SQLite's order is numbers, text, bytes: one bound more keeps other types out, and an index in use.
    match right.kind, operator[0]:
        case "number", ">":
            guard = f"{left.sql} < ''"
        case "number", _:
            return f"({comparison})"
        case "text", ">":
            guard = f"{left.sql} < x''"
        case "text", _:
            guard = f"{left.sql} >= ''"
    return f"({comparison} AND {guard})"


def _text(left: Value, operator: str, right: Value, exact: bool) -> str:
    if left.kind not in (ANY, TEXT) or right.kind not in (ANY, TEXT):
        return "NULL"
    guard = " AND ".join(_IS[TEXT].format(side.sql) for side in (left, right) if side.constant is None)
    match operator:
        case "STARTS WITH":
            found = f"instr({left.sql}, {right.sql}) = 1"
        case "CONTAINS":
            found = f"instr({left.sql}, {right.sql}) > 0"
        case "ENDS WITH":
            # As bytes: SQLite's text functions end at U+0000.
            end = f"CAST({right.sql} AS BLOB)"
            found = f"({right.sql} = '' OR substr(CAST({left.sql} AS BLOB), -length({end})) = {end})"
        case _:
            raise InternalError(f"no operator {operator}")
    if not guard:
        return f"({found})"
    return f"(CASE WHEN {guard} THEN {found} END)" if exact else f"({guard} AND {found})"


def prefix_end(prefix: str) -> str | None:
    """The least text after all that begin with `prefix`, in the order of code points; None if there is none."""
    for place in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[place]) + 1
        if code <= 0x10FFFF:
            return prefix[:place] + chr(0xE000 if code == 0xD800 else code)
    return None

"""Reading a query: recursive descent over its tokens, every refusal with its place and what was expected.

query    = MATCH patterns [WHERE or] RETURN [DISTINCT] item {"," item}
           [ORDER BY key {"," key}] [SKIP count] [LIMIT count]
patterns = path {"," path}
path     = node {relationship node}
node     = "(" [variable] [":" label {"|" label}] ["{" name ":" value {"," name ":" value} "}"] ")"
relationship = ["<"] "-" ["[" [variable] [":" type {"|" type}] ["*" least [".." most]] "]"] "-" [">"]
or       = and {OR and}        and = not {AND not}        not = NOT not | test
test     = operand [comparison operand | IN list | IS [NOT] NULL]
operand  = literal | "$" name | variable ["." name | "[" string "]"] | function "(" … ")" | "(" or ")"
         | EXISTS "{" [MATCH] patterns [WHERE or] "}"
"""

from __future__ import annotations

from typing import Final

from twinproof.errors import Malformed, TooLarge
from twinproof.views.graph.syntax import (
    AGGREGATES,
    FUNCTIONS,
    KEYWORDS,
    And,
    Call,
    Compare,
    Exists,
    Expression,
    In,
    IsNull,
    Item,
    Label,
    Literal,
    Node,
    Not,
    Or,
    Parameter,
    Path,
    Property,
    Query,
    Relationship,
    Sort,
    Variable,
)
from twinproof.views.graph.tokens import Token, refusal, tokens

MAX_DEPTH: Final = 30
"""Expressions within expressions."""
MAX_HOPS: Final = 32
"""Relationships that one of variable length may follow."""
_COMPARISONS: Final = ("=", "<>", "<=", ">=", "<", ">")
_MISSING: Final = frozenset(
    "OPTIONAL WITH UNWIND CALL UNION MATCH CREATE MERGE DELETE DETACH SET REMOVE FOREACH LOAD USE XOR".split()  # noqa: SIM905 - reads better
)


def parse(text: str) -> Query:
    """The query's syntax tree; raises `Malformed` with line and column, or `TooLarge`."""
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0
        self._depth = 0

    # --- tokens ---------------------------------------------------------------------------------

    @property
    def _here(self) -> Token:
        return self._tokens[self._next]

    def _fail(self, expected: str) -> Malformed:
        here = self._here
        if here.kind == "end":
            return refusal(self._text, here.at, f"expected {expected}, but the query ends")
        word = here.text.upper()
        at_clause = any(mark in expected for mark in ("MATCH", "RETURN", "end of the query"))
        if here.kind == "name" and word in _MISSING and at_clause:
            reason = f"{word} is not part of this language, which reads: MATCH … WHERE … RETURN …"
            return refusal(self._text, here.at, reason)
        found = here.text if len(here.text) <= 40 else here.text[:40] + "…"
        return refusal(self._text, here.at, f"expected {expected}, found {found!r}")

    def _take(self) -> Token:
        token = self._here
        self._next += token.kind != "end"
        return token

    def _is_word(self, *words: str) -> bool:
        return self._here.kind == "name" and self._here.text.upper() in words

    def _word(self, word: str) -> bool:
        """Take a keyword if it comes now."""
        found = self._is_word(word)
        self._next += found
        return found

    def _need_word(self, word: str, expected: str = "") -> None:
        if not self._word(word):
            raise self._fail(expected or word)

    def _symbol(self, *symbols: str) -> str | None:
        """Take one of these symbols if it comes now."""
        if self._here.kind == "symbol" and self._here.text in symbols:
            return self._take().text
        return None

    def _need(self, symbol: str, expected: str = "") -> None:
        if not self._symbol(symbol):
            raise self._fail(expected or repr(symbol))

    def _name(self, what: str) -> str:
        """Any name, keywords too: of a property, a type, a parameter."""
        if self._here.kind not in ("name", "quoted"):
            raise self._fail(what)
        return self._take().text

    def _variable(self, what: str) -> str:
        if self._here.kind == "name" and self._here.text.upper() in KEYWORDS:
            raise self._fail(what)
        return self._name(what)

    def _begins_variable(self) -> bool:
        return self._here.kind == "quoted" or (self._here.kind == "name" and self._here.text.upper() not in KEYWORDS)

    # --- clauses --------------------------------------------------------------------------------

    def query(self) -> Query:
        self._need_word("MATCH")
        patterns = self._patterns()
        where = self._or() if self._word("WHERE") else None
        self._need_word("RETURN", "',', WHERE or RETURN" if where is None else "AND, OR or RETURN")
        distinct = self._word("DISTINCT")
        items = [self._item()]
        while self._symbol(","):
            items.append(self._item())
        order: list[Sort] = []
        if self._word("ORDER"):
            self._need_word("BY")
            order.append(self._sort())
            while self._symbol(","):
                order.append(self._sort())
        skip = self._count() if self._word("SKIP") else None
        limit = self._count() if self._word("LIMIT") else None
        if self._here.kind != "end":
            raise self._fail("the end of the query")
        return Query(patterns, where, tuple(items), distinct, tuple(order), skip, limit)

    def _item(self) -> Item:
        expression = self._or(aggregates=True)
        return Item(expression, self._name("a name for the column") if self._word("AS") else None)

    def _sort(self) -> Sort:
        expression = self._or(aggregates=True)
        if self._word("DESC") or self._word("DESCENDING"):
            return Sort(expression, True)
        if not self._word("ASC"):
            self._word("ASCENDING")
        return Sort(expression)

    def _count(self) -> Literal | Parameter:
        at = self._here.at
        if self._symbol("$"):
            return Parameter(self._name("a parameter's name"), at)
        if self._here.kind != "integer":
            raise self._fail("a number or a parameter")
        return Literal(int(self._take().text), at)

    # --- patterns -------------------------------------------------------------------------------

    def _patterns(self) -> tuple[Path, ...]:
        paths = [self._path()]
        while self._symbol(","):
            paths.append(self._path())
        return tuple(paths)

    def _path(self) -> Path:
        nodes = [self._node()]
        relationships: list[Relationship] = []
        while self._here.kind == "symbol" and self._here.text in ("-", "<"):
            relationships.append(self._relationship())
            nodes.append(self._node())
        return Path(tuple(nodes), tuple(relationships))

    def _node(self) -> Node:
        at = self._here.at
        self._need("(", "a node, such as (e)")
        variable = self._variable("a variable") if self._begins_variable() else None
        labels: list[Label] = []
        if self._symbol(":"):
            labels.append(self._label())
            while self._symbol("|"):
                labels.append(self._label())
        properties = self._properties() if self._symbol("{") else ()
        self._need(")", "')'" if labels or properties else "':', '{' or ')'")
        return Node(variable, tuple(labels), properties, at)

    def _label(self) -> Label:
        exact = self._here.kind == "quoted"
        return Label(self._name("a model: its IRI in backquotes, or its short name"), exact)

    def _properties(self) -> tuple[tuple[str, Literal | Parameter], ...]:
        found: dict[str, Literal | Parameter] = {}
        while True:
            at = self._here.at
            name = self._name("a property's name")
            if name in found:
                raise refusal(self._text, at, f"property {name} is named twice")
            self._need(":")
            value = self._value()
            if value is None:
                raise self._fail("a constant or a parameter")
            found[name] = value
            if self._symbol("}"):
                return tuple(found.items())
            self._need(",", "',' or '}'")

    def _relationship(self) -> Relationship:
        at = self._here.at
        to_left = bool(self._symbol("<"))
        self._need("-")
        variable, types, hops = self._details() if self._symbol("[") else (None, (), None)
        self._need("-", "'-'")
        to_right = bool(self._symbol(">"))
        if to_left and to_right:
            raise refusal(self._text, at, "a relationship has one direction, or none: write -[…]- for both")
        direction = "in" if to_left else "out" if to_right else "both"
        return Relationship(direction, variable, types, hops, at)

    def _details(self) -> tuple[str | None, tuple[str, ...], tuple[int, int] | None]:
        variable = self._variable("a variable") if self._begins_variable() else None
        types: list[str] = []
        if self._symbol(":"):
            types.append(self._name("a relationship's name"))
            while self._symbol("|"):
                types.append(self._name("a relationship's name"))
        at = self._here.at
        hops = self._hops(at) if self._symbol("*") else None
        if hops and variable is not None:
            raise refusal(self._text, at, "a relationship of variable length has no variable")
        self._need("]", "']'" if hops else "'*' or ']'" if types else "':', '*' or ']'")
        return variable, tuple(types), hops

    def _hops(self, at: int) -> tuple[int, int]:
        bounded = f"an upper bound, such as *1..5, of at most {MAX_HOPS}"
        least = int(self._take().text) if self._here.kind == "integer" else None
        if self._symbol(".."):
            if self._here.kind != "integer":
                raise self._fail(bounded)
            most = int(self._take().text)
            least = 1 if least is None else least
        elif least is None:
            raise self._fail(bounded)
        else:
            most = least
        if not 0 <= least <= most <= MAX_HOPS or most == 0:
            raise refusal(self._text, at, f"*{least}..{most} is not between 0 and {MAX_HOPS}, in order")
        return least, most

    # --- expressions ----------------------------------------------------------------------------

    def _or(self, *, aggregates: bool = False) -> Expression:
        at = self._here.at
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooLarge("query", f"nested deeper than {MAX_DEPTH}")
        operands = [self._and(aggregates)]
        while self._word("OR"):
            operands.append(self._and(False))
        self._depth -= 1
        return operands[0] if len(operands) == 1 else Or(tuple(operands), at)

    def _and(self, aggregates: bool) -> Expression:
        at = self._here.at
        operands = [self._not(aggregates)]
        while self._word("AND"):
            operands.append(self._not(False))
        return operands[0] if len(operands) == 1 else And(tuple(operands), at)

    def _not(self, aggregates: bool) -> Expression:
        at = self._here.at
        if not self._word("NOT"):
            return self._test(aggregates)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooLarge("query", f"nested deeper than {MAX_DEPTH}")
        operand = self._not(False)
        self._depth -= 1
        return Not(operand, at)

    def _test(self, aggregates: bool) -> Expression:
        left = self._operand(aggregates)
        at = self._here.at
        if operator := self._symbol(*_COMPARISONS):
            found: Expression = Compare(operator, left, self._operand(), at)
        elif self._is_word("STARTS", "ENDS"):
            operator = f"{self._take().text.upper()} WITH"
            self._need_word("WITH")
            found = Compare(operator, left, self._operand(), at)
        elif self._word("CONTAINS"):
            found = Compare("CONTAINS", left, self._operand(), at)
        elif self._word("IN"):
            found = In(left, self._list(), at)
        elif self._word("IS"):
            negated = self._word("NOT")
            self._need_word("NULL", "NULL" if negated else "NULL or NOT NULL")
            found = IsNull(left, negated, at)
        else:
            return left
        if self._here.kind == "symbol" and self._here.text in _COMPARISONS:
            raise refusal(self._text, self._here.at, "comparisons are not chained: write a < b AND b < c")
        return found

    def _list(self) -> tuple[Expression, ...] | Parameter:
        at = self._here.at
        if self._symbol("$"):
            return Parameter(self._name("a parameter's name"), at)
        self._need("[", "a list in brackets, or a parameter")
        items: list[Expression] = []
        if self._symbol("]"):
            return ()
        while True:
            items.append(self._operand())
            if self._symbol("]"):
                return tuple(items)
            self._need(",", "',' or ']'")

    def _value(self) -> Literal | Parameter | None:
        """A constant or parameter, if one comes now."""
        here = self._here
        if self._symbol("$"):
            return Parameter(self._name("a parameter's name"), here.at)
        if self._symbol("-"):
            if self._here.kind not in ("integer", "float"):
                raise self._fail("a number after '-'")
            number = self._value()
            assert isinstance(number, Literal) and isinstance(number.value, int | float)  # noqa: S101, PT018 - just seen
            return Literal(-number.value, here.at)
        if here.kind == "string":
            return Literal(self._take().text, here.at)
        if here.kind == "integer":
            return Literal(int(self._take().text), here.at)
        if here.kind == "float":
            return Literal(float(self._take().text), here.at)
        for word, value in (("TRUE", True), ("FALSE", False), ("NULL", None)):
            if self._word(word):
                return Literal(value, here.at)
        return None

    def _operand(self, aggregates: bool = False) -> Expression:
        if (value := self._value()) is not None:
            return value
        at = self._here.at
        if self._symbol("("):
            inner = self._or()
            self._need(")")
            return inner
        if self._word("EXISTS"):
            return self._exists(at)
        if not self._begins_variable():
            raise self._fail("a value")
        quoted = self._here.kind == "quoted"
        name = self._take().text
        if not quoted and self._symbol("("):
            return self._call(name, at, aggregates)
        if self._symbol("."):
            return Property(name, self._name("a property's name"), False, at)
        if self._symbol("["):
            if self._here.kind != "string":
                raise self._fail("a property's name as a string")
            found = Property(name, self._take().text, True, at)
            self._need("]")
            return found
        return Variable(name, at)

    def _exists(self, at: int) -> Exists:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooLarge("query", f"nested deeper than {MAX_DEPTH}")
        self._need("{", "'{' and a pattern")
        self._word("MATCH")
        patterns = self._patterns()
        where = self._or() if self._word("WHERE") else None
        self._need("}", "',', WHERE or '}'" if where is None else "AND, OR or '}'")
        self._depth -= 1
        return Exists(patterns, where, at)

    def _call(self, name: str, at: int, aggregates: bool) -> Call:
        function = name.lower()
        if function not in (*AGGREGATES, *FUNCTIONS):
            known = ", ".join((*AGGREGATES, *FUNCTIONS))
            raise refusal(self._text, at, f"no function {name[:40]}; there are {known}")
        if function in FUNCTIONS:
            arguments = [self._operand()]
            while self._symbol(","):
                arguments.append(self._operand())
            self._need(")", "',' or ')'")
            if len(arguments) != (1 if function == "type" else 2):
                shape = {"type": "type(r)", "reading": "reading(e, 'name')", "alarm": "alarm(e, 'rule')"}[function]
                raise refusal(self._text, at, f"is written {shape}")
            return Call(function, tuple(arguments), False, at)
        if not aggregates:
            raise refusal(self._text, at, f"{function}() stands alone, as a column of RETURN or a key of ORDER BY")
        if function == "count" and self._symbol("*"):
            self._need(")")
            return Call(function, (), False, at)
        distinct = self._word("DISTINCT")
        argument = self._or()
        self._need(")")
        return Call(function, (argument,), distinct, at)

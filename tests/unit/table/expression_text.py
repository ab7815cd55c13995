"""Expressions of SQL from text, for tests: enough of the grammar for the examples of the functions."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import pyarrow as pa

from millstream.core.table import logical_types as lt
from millstream.core.table.evaluation import compile_expression
from millstream.core.table.expressions import Expression, InputRef, Literal
from millstream.core.table.functions.function import EvaluationContext
from millstream.core.table.functions.registry import bind_call, cast_call
from millstream.core.table.logical_types import LogicalType
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.text_format import text_column

TOKEN = re.compile(
    r"\s*('(?:[^']|'')*'|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\|\||<>|!=|<=|>=|[-+*/%(),=<>\[\]])"
)
UNITS_MS = {"DAY": 86_400_000, "HOUR": 3_600_000, "MINUTE": 60_000, "SECOND": 1000}
UNITS = (*UNITS_MS, "MONTH", "YEAR", "QUARTER", "WEEK", "CENTURY", "DECADE")
SIMPLE = {kind.text(): kind for kind in (lt.BOOLEAN, lt.TINYINT, lt.SMALLINT, lt.INT, lt.BIGINT, lt.FLOAT, lt.DOUBLE)}
SIMPLE |= {"STRING": lt.STRING, "BYTES": lt.BYTES, "DATE": lt.DATE, "TIME": lt.TIME}
SIZED = {"DECIMAL": lt.decimal, "CHAR": lt.char, "VARCHAR": lt.varchar, "TIMESTAMP": lt.timestamp}
SIZED |= {"TIMESTAMP_LTZ": lt.timestamp_ltz}
INFIX = {"OR": 1, "AND": 2, "=": 4, "<>": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "||": 5, "+": 6, "-": 6}
INFIX |= {"*": 7, "/": 7, "%": 7, "IS": 4, "IN": 4, "NOT": 4, "BETWEEN": 4, "LIKE": 4, "SIMILAR": 4}


class Parser:
    def __init__(self, text: str, columns: RowType) -> None:
        self.tokens = TOKEN.findall(text)
        assert "".join(self.tokens).replace(" ", "") == re.sub(r"\s", "", text).replace(" ", ""), text
        self.columns = columns

    def peek(self, ahead: int = 0) -> str:
        token = self.tokens[ahead] if ahead < len(self.tokens) else ""
        return token if token.startswith("'") else token.upper()

    def next(self) -> str:
        return str(self.tokens.pop(0))

    def take(self, *words: str) -> bool:
        if all(self.peek(i) == word for i, word in enumerate(words)):
            del self.tokens[: len(words)]
            return True
        return False

    def need(self, word: str) -> None:
        assert self.take(word), f"{word} expected before {self.tokens}"

    def expression(self, level: int = 0) -> Expression:
        left = self.prefix()
        while INFIX.get(self.peek(), 0) > level:
            left = self.infix(left)
        return left

    def infix(self, left: Expression) -> Expression:
        name = self.next().upper()
        if name == "IS":
            words = ["IS", *(["NOT"] if self.take("NOT") else [])]
            words += ["DISTINCT", "FROM"] if self.take("DISTINCT", "FROM") else [self.next().upper()]
            joined = " ".join(words)
            return bind_call(joined, [left, self.expression(5)] if joined.endswith("FROM") else [left])
        negated = "NOT " if name == "NOT" else ""
        name = self.next().upper() if negated else name
        if name == "IN":
            self.need("(")
            return bind_call(f"{negated}IN", [left, *self.list(")")])
        if name == "BETWEEN":
            low = self.expression(5)
            self.need("AND")
            return bind_call(f"{negated}BETWEEN", [left, low, self.expression(5)])
        if name in ("LIKE", "SIMILAR"):
            if name == "SIMILAR":
                self.need("TO")
                name = "SIMILAR TO"
            arguments = [left, self.expression(5)]
            if self.take("ESCAPE"):
                arguments.append(self.expression(5))
            return bind_call(negated + name, arguments)
        return bind_call(name, [left, self.expression(INFIX[name])])

    def prefix(self) -> Expression:
        value = self.primary()
        while self.take("["):
            value = bind_call("ITEM", [value, self.expression()])
            self.need("]")
        return value

    def primary(self) -> Expression:
        if self.take("("):
            value = self.expression()
            self.need(")")
            return value
        if self.take("NOT"):
            return bind_call("NOT", [self.expression(3)])
        if self.take("-"):
            inner = self.expression(8)
            if isinstance(inner, Literal) and inner.type.root in lt.NUMERIC:
                return Literal(inner.type, -inner.value)
            return bind_call("-", [inner])
        token = self.next()
        if token.startswith("'"):
            text = token[1:-1].replace("''", "'")
            return Literal(lt.char(len(text)).with_nullable(False), text)
        if token[0].isdigit():
            return number(token)
        return self.word(token.upper(), token)

    def word(self, word: str, token: str) -> Expression:
        if word in ("TRUE", "FALSE"):
            return Literal(lt.BOOLEAN.with_nullable(False), word == "TRUE")
        if word == "NULL":
            return Literal(lt.NULL, None)
        if word == "CASE":
            return self.case()
        if word in ("CAST", "TRY_CAST"):
            self.need("(")
            value = self.expression()
            self.need("AS")
            kind = self.type()
            self.need(")")
            return cast_call(value, kind, attempt=word == "TRY_CAST")
        if word == "INTERVAL":
            return interval(self.next()[1:-1], self.next().upper())
        if word in ("DATE", "TIME", "TIMESTAMP") and self.peek().startswith("'"):
            return typed(word, self.next()[1:-1])
        if word in ("ARRAY", "MAP") and self.take("["):
            return bind_call(word, self.list("]"))
        found = self.columns.index_of(token)
        if found is not None and self.peek() != "(":
            return InputRef(self.columns[found].type, found)
        if not self.take("("):
            return bind_call(word, [])
        if word == "EXTRACT" or (word in ("TIMESTAMPDIFF", "TIMESTAMPADD")):
            unit = self.next()
            arguments = [Literal(lt.char(len(unit)).with_nullable(False), unit)]
            assert self.take("FROM") or self.take(",")
            return bind_call(word, [*arguments, *self.list(")")])
        if word == "POSITION":
            needle = self.expression(4)
            assert self.take("IN") or self.take(",")
            return bind_call(word, [needle, *self.list(")")])
        if word == "TRIM" and self.peek() in ("BOTH", "LEADING", "TRAILING"):
            side = self.next()
            characters = self.expression()
            self.need("FROM")
            return bind_call(word, [Literal(lt.char(len(side)), side), characters, *self.list(")")])
        return bind_call(word, self.list(")"))

    def case(self) -> Expression:
        parts = []
        while self.take("WHEN"):
            parts.append(self.expression())
            self.need("THEN")
            parts.append(self.expression())
        parts.append(self.expression() if self.take("ELSE") else Literal(lt.NULL, None))
        self.need("END")
        return bind_call("CASE", parts)

    def list(self, end: str) -> list[Expression]:
        items: list[Expression] = []
        if self.take(end):
            return items
        while True:
            items.append(self.argument())
            if self.take(end):
                return items
            if not self.take("TO") and not self.take("VALUE"):
                self.need(",")

    def argument(self) -> Expression:
        if self.peek() in UNITS and self.peek(1) in (")", ","):
            unit = self.next()
            return Literal(lt.char(len(unit)).with_nullable(False), unit)
        return self.expression()

    def type(self) -> LogicalType:
        name = self.next().upper()
        if name == "ARRAY":
            self.need("<")
            kind = lt.array(self.type())
            self.need(">")
            return kind
        if name == "MAP":
            self.need("<")
            key = self.type()
            self.need(",")
            kind = lt.map_of(key, self.type())
            self.need(">")
            return kind
        if name in SIMPLE:
            return SIMPLE[name]
        sizes = []
        if self.take("("):
            while True:
                sizes.append(int(self.next()))
                if self.take(")"):
                    break
                self.need(",")
        return SIZED[name](*sizes)


def number(token: str) -> Literal:
    if "e" in token.lower():
        return Literal(lt.DOUBLE.with_nullable(False), float(token))
    if "." in token:
        value = decimal.Decimal(token)
        scale = len(token.partition(".")[2])
        digits = len(value.as_tuple().digits)
        return Literal(lt.decimal(max(digits, scale), scale).with_nullable(False), value)
    kind = lt.INT if int(token) < 2**31 else lt.BIGINT
    return Literal(kind.with_nullable(False), int(token))


def interval(text: str, unit: str) -> Literal:
    if unit in ("YEAR", "MONTH"):
        return Literal(lt.INTERVAL_YEAR_MONTH.with_nullable(False), int(text) * (12 if unit == "YEAR" else 1))
    span = datetime.timedelta(milliseconds=int(text) * UNITS_MS[unit])
    return Literal(lt.INTERVAL_DAY_TIME.with_nullable(False), span)


def typed(word: str, text: str) -> Literal:
    if word == "DATE":
        return Literal(lt.DATE.with_nullable(False), datetime.date.fromisoformat(text))
    if word == "TIME":
        return Literal(lt.TIME.with_nullable(False), datetime.time.fromisoformat(text))
    digits = len(text.partition(".")[2])
    return Literal(lt.timestamp(digits).with_nullable(False), datetime.datetime.fromisoformat(text))


def parse(text: str, columns: RowType | None = None) -> Expression:
    parser = Parser(text, columns or RowType(()))
    value = parser.expression()
    assert not parser.tokens, f"{parser.tokens} is left of {text}"
    return value


def row_type(**kinds: LogicalType) -> RowType:
    return RowType(tuple(Column(name, kind) for name, kind in kinds.items()))


def evaluate(
    text: str | Expression,
    columns: RowType | None = None,
    values: Sequence[pa.Array] = (),
    zone: str = "UTC",
    **context: object,
) -> pa.Array:
    """The column of an expression, one row where it reads none."""
    expression = parse(text, columns) if isinstance(text, str) else text
    rows = len(values[0]) if values else 1
    made = EvaluationContext(rows=rows, time_zone=ZoneInfo(zone), **context)  # type: ignore[arg-type]
    answer = compile_expression(expression, columns or RowType(()))(values, made)
    answer = pa.repeat(answer, rows) if isinstance(answer, pa.Scalar) else answer
    assert answer.type == expression.type.arrow(), f"{answer.type} for {expression.type}"
    assert len(answer) == rows
    answer.validate(full=True)
    return answer


def printed(text: str | Expression, zone: str = "UTC", **context: object) -> str:
    """The value of an expression without columns, as SQL prints it."""
    expression = parse(text) if isinstance(text, str) else text
    answer = text_column(evaluate(expression, zone=zone, **context), expression.type, ZoneInfo(zone), nested=True)[0]
    return "NULL" if answer.as_py() is None else str(answer.as_py())

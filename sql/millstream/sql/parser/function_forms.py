"""Functions whose arguments are not a plain list: each is read here and becomes an ``exp.Anonymous`` with one.

Keywords that stand for a choice are ``exp.Var`` (``TRIM(BOTH ...)``, ``EXTRACT(DAY ...)``); clauses behind the
arguments are ``exp.Kwarg`` (``ON_EMPTY``, ``ON_ERROR``, ``ON_NULL``, ``RETURNING``, ``WRAPPER``). The closing
parenthesis is read by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from millstream.sql.parser.types import type_node

if TYPE_CHECKING:
    from millstream.sql.parser.query_parser import FlinkExpressionParser

TIME_UNITS: Final = (
    "NANOSECOND", "MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR",
    "DECADE", "CENTURY", "MILLENNIUM", "DOW", "DOY", "ISODOW", "ISOYEAR", "EPOCH", "SECOND_INTERVAL",
    "SQL_TSI_SECOND", "SQL_TSI_MINUTE", "SQL_TSI_HOUR", "SQL_TSI_DAY", "SQL_TSI_WEEK", "SQL_TSI_MONTH",
    "SQL_TSI_QUARTER", "SQL_TSI_YEAR",
)  # fmt: skip


def _call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _kwarg(name: str, value: exp.Expr) -> exp.Kwarg:
    return exp.Kwarg(this=exp.var(name), expression=value)


def cast(parser: FlinkExpressionParser) -> exp.Expr:
    """``CAST(x AS type)`` is ``exp.Cast``, its ``to`` read by ``parse_type``."""
    return _cast(parser, exp.Cast)


def try_cast(parser: FlinkExpressionParser) -> exp.Expr:
    return _cast(parser, exp.TryCast)


def _cast(parser: FlinkExpressionParser, kind: type[exp.Cast] | type[exp.TryCast]) -> exp.Expr:
    this = parser.expression_required("a value to cast")
    if not parser.match_words("AS"):
        raise parser.expecting("AS and a type")
    return kind(this=this, to=type_node(parser.read_type()))


def extract(parser: FlinkExpressionParser) -> exp.Expr:
    """``EXTRACT(unit FROM x)``: EXTRACT(Var, x)."""
    unit = time_unit(parser)
    if not parser.match_words("FROM"):
        raise parser.expecting("FROM")
    return _call("EXTRACT", unit, parser.expression_required("a time"))


def time_unit(parser: FlinkExpressionParser) -> exp.Var:
    """A unit of time by its name."""
    for unit in TIME_UNITS:
        if parser.match_words(unit):
            return exp.var(unit.removeprefix("SQL_TSI_"))
    raise parser.expecting("a unit of time (SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER, YEAR, ...)")


def unit_first(name: str) -> Callable[[FlinkExpressionParser], exp.Expr]:
    """``TIMESTAMPADD(unit, n, t)`` and its like: the first argument is a Var."""

    def read(parser: FlinkExpressionParser) -> exp.Expr:
        unit = time_unit(parser)
        if not parser.match_sign(TokenType.COMMA):
            raise parser.expecting("','")
        return _call(name, unit, *parser.arguments())

    return read


def rounding(name: str) -> Callable[[FlinkExpressionParser], exp.Expr]:
    """``FLOOR(x)``, ``FLOOR(t TO unit)``: FLOOR(x), FLOOR(t, Var)."""

    def read(parser: FlinkExpressionParser) -> exp.Expr:
        arguments = parser.arguments()
        if parser.match_words("TO"):
            arguments.append(time_unit(parser))
        return _call(name, *arguments)

    return read


def substring(name: str) -> Callable[[FlinkExpressionParser], exp.Expr]:
    """``SUBSTRING(x FROM a FOR b)`` and ``SUBSTRING(x, a, b)``: SUBSTRING(x, a, b)."""

    def read(parser: FlinkExpressionParser) -> exp.Expr:
        arguments = parser.arguments()
        for word in ("FROM", "FOR"):
            if parser.match_words(word):
                arguments.append(parser.expression_required("a number"))
        return _call(name, *arguments)

    return read


def trim(parser: FlinkExpressionParser) -> exp.Expr:
    """``TRIM(BOTH c FROM x)``: TRIM(Var BOTH, c, x); ``TRIM(x)``: TRIM(x)."""
    side = next((word for word in ("BOTH", "LEADING", "TRAILING") if parser.match_words(word)), "")
    space = exp.Literal.string(" ")
    if side and parser.match_words("FROM"):
        return _call("TRIM", exp.var(side), space, parser.expression_required("a string"))
    first = parser.expression_required("a string")
    if parser.match_words("FROM"):
        return _call("TRIM", exp.var(side or "BOTH"), first, parser.expression_required("a string"))
    return _call("TRIM", exp.var(side), space, first) if side else _call("TRIM", first)


def position(parser: FlinkExpressionParser) -> exp.Expr:
    """``POSITION(a IN b)``: POSITION(a, b)."""
    needle = parser.operand_required("a string")
    if not parser.match_words("IN"):
        raise parser.expecting("IN")
    return _call("POSITION", needle, parser.expression_required("a string"))


def overlay(parser: FlinkExpressionParser) -> exp.Expr:
    """``OVERLAY(x PLACING y FROM a FOR b)``: OVERLAY(x, y, a, b)."""
    arguments = parser.arguments()
    for word in ("PLACING", "FROM", "FOR"):
        if parser.match_words(word):
            arguments.append(parser.expression_required(f"the value after {word}"))
    return _call("OVERLAY", *arguments)


def json_value(parser: FlinkExpressionParser) -> exp.Expr:
    """``JSON_VALUE(json, path RETURNING type x ON EMPTY y ON ERROR)``: two arguments and Kwargs."""
    arguments = parser.arguments()
    if parser.match_words("RETURNING"):
        arguments.append(_kwarg("RETURNING", type_node(parser.read_type(nullability=False))))
    return _call("JSON_VALUE", *arguments, *_json_behaviours(parser, ("NULL", "ERROR")))


def json_query(parser: FlinkExpressionParser) -> exp.Expr:
    """Like ``JSON_VALUE``, with WRAPPER as WITHOUT, CONDITIONAL or UNCONDITIONAL."""
    arguments = parser.arguments()
    if parser.match_words("RETURNING"):
        arguments.append(_kwarg("RETURNING", type_node(parser.read_type(nullability=False))))
    wrapper = ""
    if parser.match_words("WITHOUT"):
        wrapper = "WITHOUT"
    elif parser.match_words("WITH"):
        wrapper = "CONDITIONAL" if parser.match_words("CONDITIONAL") else "UNCONDITIONAL"
        parser.match_words("UNCONDITIONAL")
    if wrapper:
        parser.match_words("ARRAY")
        if not parser.match_words("WRAPPER"):
            raise parser.expecting("WRAPPER")
        arguments.append(_kwarg("WRAPPER", exp.var(wrapper)))
    choices = ("NULL", "ERROR", "EMPTY ARRAY", "EMPTY OBJECT")
    return _call("JSON_QUERY", *arguments, *_json_behaviours(parser, choices))


def json_exists(parser: FlinkExpressionParser) -> exp.Expr:
    """``JSON_EXISTS(json, path TRUE ON ERROR)``: two arguments and Kwarg ON_ERROR."""
    arguments = parser.arguments()
    return _call("JSON_EXISTS", *arguments, *_json_behaviours(parser, ("TRUE", "FALSE", "UNKNOWN", "ERROR")))


def _json_behaviours(parser: FlinkExpressionParser, choices: tuple[str, ...]) -> list[exp.Expr]:
    """``choice ON EMPTY``, ``choice ON ERROR``: Kwarg to a Var of the choice, or to the value after DEFAULT."""
    found: list[exp.Expr] = []
    while True:
        value: exp.Expr | None = None
        if parser.match_words("DEFAULT"):
            value = parser.operand_required("a default value")
        else:
            choice = next((choice for choice in choices if parser.match_words(*choice.split())), None)
            value = exp.var(choice) if choice else None
        if value is None:
            return found
        if parser.match_words("ON", "EMPTY"):
            found.append(_kwarg("ON_EMPTY", value))
        elif parser.match_words("ON", "ERROR"):
            found.append(_kwarg("ON_ERROR", value))
        else:
            raise parser.expecting("ON EMPTY or ON ERROR")


def json_object(name: str) -> Callable[[FlinkExpressionParser], exp.Expr]:
    """``JSON_OBJECT(KEY k VALUE v, ... NULL ON NULL)``: JSON_OBJECT(k, v, ..., Kwarg ON_NULL)."""

    def read(parser: FlinkExpressionParser) -> exp.Expr:
        arguments: list[exp.Expr] = []
        while not parser.peek_sign(TokenType.R_PAREN) and not _peek_on_null(parser):
            parser.match_words("KEY")
            arguments.append(parser.operand_required("a key"))
            if not parser.match_words("VALUE") and not parser.match_sign(TokenType.COLON):
                raise parser.expecting("VALUE")
            arguments.append(parser.expression_required("a value"))
            if not parser.match_sign(TokenType.COMMA):
                break
        return _call(name, *arguments, *_on_null(parser))

    return read


def json_array(name: str) -> Callable[[FlinkExpressionParser], exp.Expr]:
    """``JSON_ARRAY(v, ... ABSENT ON NULL)``: JSON_ARRAY(v, ..., Kwarg ON_NULL)."""

    def read(parser: FlinkExpressionParser) -> exp.Expr:
        arguments = [] if _peek_on_null(parser) else parser.arguments()
        return _call(name, *arguments, *_on_null(parser))

    return read


def _peek_on_null(parser: FlinkExpressionParser) -> bool:
    return any(parser.peek_words(word, "ON", "NULL") for word in ("NULL", "ABSENT"))


def _on_null(parser: FlinkExpressionParser) -> list[exp.Expr]:
    return [_kwarg("ON_NULL", exp.var(word)) for word in ("NULL", "ABSENT") if parser.match_words(word, "ON", "NULL")]


FORMS: Final[dict[str, Callable[..., Any]]] = {
    "CAST": cast,
    "TRY_CAST": try_cast,
    "EXTRACT": extract,
    "TIMESTAMPADD": unit_first("TIMESTAMPADD"),
    "TIMESTAMPDIFF": unit_first("TIMESTAMPDIFF"),
    "FLOOR": rounding("FLOOR"),
    "CEIL": rounding("CEIL"),
    "CEILING": rounding("CEIL"),
    "SUBSTRING": substring("SUBSTRING"),
    "SUBSTR": substring("SUBSTR"),
    "TRIM": trim,
    "POSITION": position,
    "OVERLAY": overlay,
    "JSON_VALUE": json_value,
    "JSON_QUERY": json_query,
    "JSON_EXISTS": json_exists,
    "JSON_OBJECT": json_object("JSON_OBJECT"),
    "JSON_OBJECTAGG": json_object("JSON_OBJECTAGG"),
    "JSON_ARRAY": json_array("JSON_ARRAY"),
    "JSON_ARRAYAGG": json_array("JSON_ARRAYAGG"),
}
"""Name: what reads its arguments."""

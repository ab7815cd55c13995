"""sqlglot's parser, held to what Flink SQL has: expressions.

sqlglot reads dozens of dialects and turns functions into nodes of its own, which loses what the user wrote. Here it
knows no function: every call becomes ``exp.Anonymous`` with its name as written (``function_forms`` reads odd ones).
The package's docstring lists the nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, ClassVar, Final

from sqlglot import exp, parser
from sqlglot.errors import ErrorLevel, ParseError
from sqlglot.tokenizer_core import Token, TokenType

from millstream.core.table.logical_types import LogicalType
from millstream.sql.parser.dialect import FlinkDialect
from millstream.sql.parser.errors import SqlParseError
from millstream.sql.parser.function_forms import FORMS
from millstream.sql.parser.query_nodes import TypedLiteral
from millstream.sql.parser.token_cursor import TokenCursor
from millstream.sql.parser.types import read_type

CONSTANT_FUNCTIONS: Final = ("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP")
CONSTRUCTORS: Final = ("ARRAY", "MAP")
TYPED_LITERALS: Final = ("DATE", "TIME", "TIMESTAMP")


class _Failure(ParseError):
    """A syntax error with the token it is at; it is a ``ParseError`` so that sqlglot may try another way."""

    def __init__(self, message: str, offset: int, hint: str) -> None:
        super().__init__(message)
        self.reason = message
        self.offset = offset
        self.hint = hint


def _no_paren_function(name: str) -> Callable[[FlinkExpressionParser], exp.Expr]:
    return lambda self: exp.Anonymous(this=name, expressions=[]).update_positions(self.previous)


def _unary_plus(self: FlinkExpressionParser) -> exp.Expr:
    """``+x`` is x; sqlglot would read a lone plus as nothing."""
    operand = self._parse_unary()
    if operand is None:
        raise self.expecting("an expression after '+'")
    return operand


class FlinkExpressionParser(parser.Parser):
    """Reads expressions. ``run`` is the way in."""

    FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
    NO_PAREN_FUNCTIONS: ClassVar[dict[TokenType, Any]] = {}
    NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        "CASE": parser.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"],
        **{name: _no_paren_function(name) for name in CONSTANT_FUNCTIONS},
    }
    FUNCTION_PARSERS: ClassVar[dict[str, Any]] = dict(FORMS)
    STATEMENT_PARSERS: ClassVar[dict[TokenType, Any]] = {}
    LAMBDAS: ClassVar[dict[TokenType, Any]] = {}
    ARRAY_CONSTRUCTORS: ClassVar[dict[str, Any]] = {}
    COLUMN_OPERATORS: ClassVar[dict[TokenType, Any]] = {TokenType.DOT: None}
    UNARY_PARSERS: ClassVar[dict[TokenType, Any]] = {**parser.Parser.UNARY_PARSERS, TokenType.PLUS: _unary_plus}
    RANGE_PARSERS: ClassVar[dict[TokenType, Any]] = {
        kind: parser.Parser.RANGE_PARSERS[kind]
        for kind in (
            TokenType.BETWEEN,
            TokenType.IN,
            TokenType.IS,
            TokenType.LIKE,
            TokenType.ILIKE,
            TokenType.SIMILAR_TO,
            TokenType.OVERLAPS,
        )
    }

    def __init__(self, source: str, tokens: list[Token], index: int) -> None:
        super().__init__(error_level=ErrorLevel.IMMEDIATE, dialect=FlinkDialect())
        self.reset()
        self.sql = source
        self._tokens = tokens
        self._tokens_size = len(tokens)
        self._index = index - 1
        self._advance()

    def run(self, read: Callable[[], exp.Expr | None], what: str) -> exp.Expr:
        """What ``read`` finds; ``SqlParseError`` if it fails or finds nothing."""
        try:
            found = read()
            if found is None:
                raise self.expecting(what)
        except _Failure as failure:
            raise SqlParseError.at(self.sql, failure.offset, failure.reason, failure.hint) from None
        return found

    # -- for function_forms -------------------------------------------------------------------------------------------

    @property
    def previous(self) -> Token:
        return self._prev

    @property
    def index(self) -> int:
        """Of the next token."""
        return int(self._index)

    def match_words(self, *words: str) -> bool:
        cursor = self._cursor()
        matched = cursor.match(*words)
        if matched:
            self._retreat(cursor.index)
        return matched

    def peek_words(self, *words: str) -> bool:
        return self._cursor().peek_words(*words)

    def match_sign(self, kind: TokenType) -> bool:
        return bool(self._match(kind))

    def peek_sign(self, kind: TokenType) -> bool:
        return bool(self._match(kind, advance=False))

    def arguments(self) -> list[exp.Expr]:
        return self._parse_function_args()

    def expression_required(self, what: str) -> exp.Expr:
        found = self._parse_disjunction()
        if found is None:
            raise self.expecting(what)
        return found

    def operand_required(self, what: str) -> exp.Expr:
        """An expression without comparison, so that IN and VALUE after it belong to the function."""
        found = self._parse_bitwise()
        if found is None:
            raise self.expecting(what)
        return found

    def read_type(self, *, nullability: bool = True) -> LogicalType:
        """A type. Without ``nullability``, NULL after it is not part of it (``RETURNING INT NULL ON EMPTY``)."""
        cursor = self._cursor()
        kind = read_type(cursor, nullability=nullability)
        self._retreat(cursor.index)
        return kind

    def _cursor(self) -> TokenCursor:
        return TokenCursor(self.sql, self._tokens, self._index)

    # -- errors -------------------------------------------------------------------------------------------------------

    def expecting(self, expected: str) -> ParseError:
        """The error that something else stands here."""
        return self.failure(f"expected {expected}, found {self._cursor().shown()}")

    def failure(self, message: str, hint: str = "", token: Token | None = None) -> ParseError:
        """An error at ``token``, or where the parser is."""
        return _Failure(message, token.start if token else self._cursor().offset, hint)

    def raise_error(self, message: str, token: Token | None = None) -> None:
        found = self._cursor().shown()
        if message.startswith("Required keyword"):
            raise self.failure(f"expected an expression, found {found}", token=token)
        raise self.failure(f"{message[0].lower()}{message[1:]}, found {found}", token=token)

    # -- expressions --------------------------------------------------------------------------------------------------

    def _parse_types(self, *_: Any, **__: Any) -> exp.Expr | None:
        return None

    def _parse_type(self, parse_interval: bool = True, fallback_to_identifier: bool = False) -> exp.Expr | None:
        if parse_interval and (interval := self._parse_interval()) is not None:
            return self._parse_column_ops(interval)
        word = self._curr.text.upper() if self._curr.token_type is TokenType.VAR else ""
        next_kind = self._next.token_type
        if word in TYPED_LITERALS and next_kind is TokenType.STRING:
            self._advance()
            literal = self._parse_string()
            return TypedLiteral(this=literal, kind=word).update_positions(self._prev)
        if word in CONSTRUCTORS and next_kind is TokenType.L_BRACKET:
            return self._parse_column_ops(self._constructor(word))
        if not fallback_to_identifier and (atom := self._parse_atom()) is not None:
            return atom
        return self._parse_id_var() if fallback_to_identifier else self._parse_column()

    def _constructor(self, name: str) -> exp.Expr:
        token = self._curr
        self._advance(2)
        elements = [] if self.peek_sign(TokenType.R_BRACKET) else self._parse_csv(self._parse_disjunction)
        if not self._match(TokenType.R_BRACKET):
            raise self.expecting("']'")
        return exp.Anonymous(this=name, expressions=elements).update_positions(token)

    def _parse_interval(self, require_interval: bool = True, parse_function_unit: bool = True) -> exp.Interval | None:
        """``INTERVAL [-]'text' unit [TO unit]``; a minus before the text becomes part of it."""
        token = self._curr
        if not self._match(TokenType.INTERVAL):
            return None
        sign = "-" if self._match(TokenType.DASH) else ""
        self._match(TokenType.PLUS)
        if self._curr.token_type is not TokenType.STRING:
            hint = "An interval is written INTERVAL '5' MINUTE, with the number in single quotes."
            raise self.failure(f"expected a string after INTERVAL, found {self._cursor().shown()}", hint)
        literal = exp.Literal.string(sign + self._curr.text)
        self._advance()
        unit: exp.Expr = self._interval_unit()
        if self.match_words("TO"):
            unit = exp.IntervalSpan(this=unit, expression=self._interval_unit())
        return exp.Interval(this=literal, unit=unit).update_positions(token)

    def _interval_unit(self) -> exp.Var:
        for unit in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"):
            if self.match_words(unit) or self.match_words(unit + "S"):
                if self._match(TokenType.L_PAREN):
                    self._parse_csv(self._parse_number)
                    self._match_r_paren()
                return exp.var(unit)
        raise self.expecting("a unit of time (YEAR, MONTH, DAY, HOUR, MINUTE or SECOND)")

    def _parse_is(self, this: exp.Expr | None) -> exp.Expr | None:
        negate = self._match(TokenType.NOT)
        if self.match_words("DISTINCT", "FROM"):
            kind = exp.NullSafeEQ if negate else exp.NullSafeNEQ
            return kind(this=this, expression=self.operand_required("a value"))
        what: exp.Expr
        if self.match_words("NULL"):
            what = exp.Null()
        elif self.match_words("TRUE") or self.match_words("FALSE"):
            what = exp.Boolean(this=self._prev.token_type is TokenType.TRUE)
        elif self.match_words("UNKNOWN"):
            what = exp.var("UNKNOWN")
        elif self.match_words("JSON"):
            kinds = ("VALUE", "OBJECT", "ARRAY", "SCALAR")
            what = exp.JSON(this=next((kind for kind in kinds if self.match_words(kind)), "VALUE"))
        else:
            raise self.expecting("NULL, TRUE, FALSE, UNKNOWN, JSON or DISTINCT FROM")
        found = exp.Is(this=this, expression=what)
        return exp.Not(this=found) if negate else found

    def _negate_range(self, this: exp.Expr | None = None) -> exp.Expr | None:
        return exp.Not(this=this) if this else this

    def _parse_function_args(self, alias: bool = False) -> list[exp.Expr]:
        if self.peek_sign(TokenType.R_PAREN):
            return []
        return self._parse_csv(self._parse_lambda)

    def _parse_lambda(self, alias: bool = False) -> exp.Expr | None:
        """One argument: ``name => value``, ``TABLE t``, ``DISTINCT a, b``, an expression, or a query."""
        if self._next.token_type is TokenType.FARROW:
            name = self._curr
            self._advance(2)
            value = self._parse_lambda()
            if value is None:
                raise self.expecting(f"the value of the argument {name.text}")
            return exp.Kwarg(this=exp.var(name.text), expression=value).update_positions(name)
        if (table := self._parse_table_argument()) is not None:
            return table
        return super()._parse_lambda(alias=False)

    def _parse_table_argument(self) -> exp.Expr | None:
        return None

    def _parse_csv(self, parse_method: Callable[[], Any], sep: TokenType = TokenType.COMMA) -> list[Any]:
        """As sqlglot's, but a comma must be followed by something."""
        found = [parse_method()]
        while self._match(sep):
            found.append(parse_method())
            if found[-1] is None:
                raise self.expecting("an expression after ','")
        return [] if found == [None] else found

    def _parse_id_var(self, any_token: bool = True, tokens: Collection[TokenType] | None = None) -> exp.Expr | None:
        found = super()._parse_id_var(any_token, tokens)
        if isinstance(found, exp.Identifier) and self._prev is not None:
            found.update_positions(self._prev)
        return found

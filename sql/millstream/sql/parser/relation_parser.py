"""sqlglot's parser, held to what Flink SQL has: tables, table functions, joins, hints."""

from __future__ import annotations

from typing import Any, Final

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from millstream.sql.parser.query_nodes import TableArgument
from millstream.sql.parser.query_parser import FlinkExpressionParser

_OTHER_RELATIONS: Final = (
    TokenType.L_PAREN, TokenType.VALUES, TokenType.UNNEST, TokenType.SELECT, TokenType.WITH,
)  # fmt: skip
"""What begins a relation that sqlglot reads as Flink has it."""
_SKIPS: Final = ("PAST LAST ROW", "TO NEXT ROW")


class FlinkParser(FlinkExpressionParser):
    """Reads queries and expressions."""

    def query(self) -> exp.Expr:
        """A query with all that may follow it: set operations, ORDER BY, LIMIT."""
        return self.run(self._parse_ddl_select, "a query (SELECT, VALUES, WITH or a query in parentheses)")

    def value(self) -> exp.Expr:
        """An expression."""
        return self.run(self._parse_disjunction, "an expression")

    # -- hints --------------------------------------------------------------------------------------------------------

    def _parse_hint(self) -> exp.Hint | None:
        """``/*+ NAME(argument, ...), NAME */``: ``exp.Hint`` of ``exp.Anonymous``; 'k'='v' is ``exp.EQ``."""
        if not self._match(TokenType.HINT):
            return None
        hints: list[exp.Expr] = []
        while not self._match_pair(TokenType.STAR, TokenType.SLASH):
            token = self._curr
            if token.token_type is not TokenType.VAR:
                raise self.expecting("the name of a hint or '*/'")
            self._advance()
            arguments: list[exp.Expr] = []
            if self._match(TokenType.L_PAREN):
                if not self.peek_sign(TokenType.R_PAREN):
                    arguments = self._parse_csv(self._parse_disjunction)
                self._match_r_paren()
            hints.append(exp.Anonymous(this=token.text.upper(), expressions=arguments).update_positions(token))
            self._match(TokenType.COMMA)
        return exp.Hint(expressions=hints)

    def hints(self) -> list[exp.Hint]:
        """The hints after the name of a table."""
        found = self._parse_hint()
        return [found] if found else []

    # -- tables -------------------------------------------------------------------------------------------------------

    def _parse_table(self, schema: bool = False, *args: Any, **options: Any) -> exp.Expr | None:
        if (lateral := self._parse_lateral()) is not None:
            return lateral
        if self._match_pair(TokenType.TABLE, TokenType.L_PAREN):
            return self._after_relation(self._table_function())
        if self._curr.token_type in _OTHER_RELATIONS:
            return super()._parse_table(schema, *args, **options)
        table = self._named_table()
        return None if table is None else self._after_relation(table)

    def _is_table_query(self) -> bool:
        """``TABLE t`` is ``SELECT * FROM t``."""
        return self._curr.token_type is TokenType.TABLE and self._next.token_type is not TokenType.L_PAREN

    def _table_function(self) -> exp.Table:
        """The function in ``TABLE(f(...))``; the opening parenthesis is read already."""
        call = self._parse_function()
        if call is None:
            raise self.expecting("a table function")
        self._match_r_paren()
        return exp.Table(this=call)

    def _named_table(self) -> exp.Table | None:
        if self._next.token_type is TokenType.L_PAREN and self._curr.token_type is TokenType.VAR:
            return exp.Table(this=self._parse_function())
        parts: list[exp.Expr] = []
        while True:
            part = self._parse_id_var(any_token=False)
            if part is None:
                if not parts:
                    return None
                raise self.expecting("the rest of a table's name")
            parts.append(part)
            if not self._match(TokenType.DOT):
                break
        if len(parts) > 3:
            raise self.failure(
                f"{'.'.join(part.name for part in parts)} has {len(parts)} parts", "A path is catalog.database.name."
            )
        table = exp.Table(this=parts[-1])
        for key, part in zip(("db", "catalog"), reversed(parts[:-1]), strict=False):
            table.set(key, part)
        return table

    def _after_relation(self, table: exp.Table) -> exp.Table:
        """Hints, time travel, pattern matching and the alias, in this order."""
        if hints := self.hints():
            table.set("hints", hints)
        if self.match_words("FOR", "SYSTEM_TIME", "AS", "OF"):
            time = self.operand_required("a time after AS OF")
            table.set("version", exp.Version(this="TIMESTAMP", kind="AS OF", expression=time))
        if (pattern := self._parse_match_recognize()) is not None:
            table.set("pattern_match", pattern)
            return table
        self._parse_pivots()
        self._parse_table_sample()
        if alias := self._parse_table_alias():
            table.set("alias", alias)
            self._parse_pivots()
            self._parse_table_sample()
        return table

    def _parse_lateral(self) -> exp.Lateral | None:
        """``LATERAL TABLE(f(x)) AS t(a, b)`` or ``LATERAL (query) AS t``."""
        if not self._match(TokenType.LATERAL):
            return None
        this: exp.Expr | None
        if self._match_pair(TokenType.TABLE, TokenType.L_PAREN):
            this = self._table_function().this
        elif self.peek_sign(TokenType.L_PAREN):
            this = self._parse_select(table=True, parse_subquery_alias=False)
        else:
            this = self._parse_function()
        if this is None:
            raise self.expecting("TABLE(function(...)) or a query in parentheses after LATERAL")
        return exp.Lateral(this=this, alias=self._parse_table_alias())

    def _parse_unnest(self, with_alias: bool = True) -> exp.Unnest | None:
        """``UNNEST(x) [WITH ORDINALITY] AS t(a, ...)``: all columns in the alias, ``offset`` True for ORDINALITY."""
        if not self._match_pair(TokenType.UNNEST, TokenType.L_PAREN):
            return None
        collections = self._parse_csv(self._parse_disjunction)
        self._match_r_paren()
        ordinality = self.match_words("WITH", "ORDINALITY")
        alias = self._parse_table_alias() if with_alias else None
        return exp.Unnest(expressions=collections, alias=alias, offset=ordinality)

    def _parse_pivots(self) -> None:
        if self._curr.token_type in (TokenType.PIVOT, TokenType.UNPIVOT) and self._next.token_type is TokenType.L_PAREN:
            raise self.failure(f"{self._curr.text.upper()} is not supported")

    def _parse_table_sample(self, as_modifier: bool = False) -> None:
        if self.peek_sign(TokenType.TABLE_SAMPLE):
            raise self.failure("TABLESAMPLE is not supported")

    def _parse_join(self, *args: Any, **options: Any) -> exp.Join | None:
        if self._match(TokenType.COMMA):
            table = self._parse_table()
            if table is None:
                raise self.expecting("a table")
            return exp.Join(this=table)
        join = super()._parse_join(*args, **options)
        if join is not None and join.this is None:
            raise self.expecting("a table after JOIN")
        return join

    def _parse_table_argument(self) -> exp.Expr | None:
        if not self._match(TokenType.TABLE):
            return None
        if self.peek_sign(TokenType.L_PAREN):
            this: exp.Expr | None = self._parse_select(table=True, parse_subquery_alias=False)
        else:
            this = self._named_table()
            if this is not None and (hints := self.hints()):
                this.set("hints", hints)
        if this is None:
            raise self.expecting("a table or a query in parentheses after TABLE")
        partition_by = self._argument_columns() if self._match(TokenType.PARTITION_BY) else []
        order = None
        if self._match(TokenType.ORDER_BY):
            order = exp.Order(expressions=[exp.Ordered(this=column) for column in self._argument_columns()])
        return TableArgument(this=this, partition_by=partition_by, order=order)

    def _argument_columns(self) -> list[exp.Expr]:
        """``(a, b)`` or ``a, b``. A call or a named argument after a comma is the function's next argument."""
        if self._match(TokenType.L_PAREN):
            columns = self._parse_csv(self._parse_column)
            self._match_r_paren()
            return columns
        columns = [self.operand_required("a column")]
        while self.peek_sign(TokenType.COMMA) and self._next.token_type in (TokenType.VAR, TokenType.IDENTIFIER):
            index = self._index
            self._advance()
            if self._next.token_type in (TokenType.L_PAREN, TokenType.FARROW):
                self._retreat(index)
                break
            columns.append(self.operand_required("a column"))
        return columns

    # -- pattern matching ---------------------------------------------------------------------------------------------

    def _parse_match_recognize(self) -> exp.MatchRecognize | None:
        """As sqlglot has it; the interval of WITHIN is the argument ``within``."""
        if not self._match(TokenType.MATCH_RECOGNIZE):
            return None
        if not self._match(TokenType.L_PAREN):
            raise self.expecting("'('")
        found = exp.MatchRecognize(partition_by=self._parse_partition_by(), order=self._parse_order())
        if self.match_words("MEASURES"):
            found.set("measures", self._parse_csv(self._parse_match_recognize_measure))
        for rows in ("ONE ROW PER MATCH", "ALL ROWS PER MATCH"):
            if self.match_words(*rows.split()):
                found.set("rows", exp.var(rows))
        if self.match_words("AFTER", "MATCH", "SKIP"):
            found.set("after", exp.var(self._skip_strategy()))
        if not self.match_words("PATTERN"):
            raise self.expecting("PATTERN")
        found.set("pattern", exp.var(self._pattern_text()))
        if self.match_words("WITHIN"):
            found.set("within", self.expression_required("an interval"))
        if not self.match_words("DEFINE"):
            raise self.expecting("DEFINE")
        found.set("define", self._parse_csv(self._parse_name_as_expression))
        self._match_r_paren()
        if alias := self._parse_table_alias():
            found.set("alias", alias)
        return found

    def _skip_strategy(self) -> str:
        for text in _SKIPS:
            if self.match_words(*text.split()):
                return text
        for text in ("TO FIRST", "TO LAST", "TO"):
            if self.match_words(*text.split()):
                name = self._parse_id_var()
                return f"{text} {name.name if name else ''}"
        raise self.expecting("PAST LAST ROW, TO NEXT ROW, TO FIRST or TO LAST with a variable")

    def _pattern_text(self) -> str:
        if not self._match(TokenType.L_PAREN):
            raise self.expecting("'('")
        start, depth = self._curr, 1
        while True:
            if not self._curr:
                raise self.expecting("')'")
            depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(self._curr.token_type, 0)
            if depth == 0:
                break
            self._advance()
        text = self._find_sql(start, self._prev)
        self._advance()
        return text

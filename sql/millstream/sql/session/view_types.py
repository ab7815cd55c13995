"""The columns of tables and views with their types, computed ones too, by asking the planner."""

from __future__ import annotations

from dataclasses import replace

from millstream.core.table.row_type import Column, TimeAttribute
from millstream.sql.catalog.catalog_manager import CatalogError, ResolvedRelation
from millstream.sql.catalog.ddl_text import quoted_name
from millstream.sql.catalog.objects import CatalogTable
from millstream.sql.parser import parse_statement
from millstream.sql.parser.statements import ComputedColumn, Query
from millstream.sql.session.runner import QueryRunner, SessionContext


class RelationTypes:
    """Without a runner, views and tables with computed columns raise ``CatalogError``."""

    def __init__(self, context: SessionContext, runner: QueryRunner | None) -> None:
        self._context = context
        self._runner = runner

    def columns_of(self, found: ResolvedRelation) -> tuple[Column, ...]:
        """All columns in order."""
        relation = found.relation
        if isinstance(relation, CatalogTable) and not any(isinstance(c, ComputedColumn) for c in relation.columns):
            return self._declared(relation)
        text = f"SELECT * FROM {quoted_name(*found.path)}"
        statement = parse_statement(text)
        assert isinstance(statement, Query)
        if self._runner is None:
            raise CatalogError(f"the columns of {found.name} are those of a query, and this session plans none")
        columns = self._runner.query_type(self._context, statement.ast, text).columns
        if isinstance(relation, CatalogTable):
            return columns
        names = relation.columns or tuple(column.name for column in columns)
        return tuple(column.renamed(name) for column, name in zip(columns, names, strict=False))

    def _declared(self, table: CatalogTable) -> tuple[Column, ...]:
        columns = [
            Column(column.name, column.type) for column in table.columns if not isinstance(column, ComputedColumn)
        ]
        rowtime = table.watermark.column if table.watermark else None
        return tuple(
            replace(column, time=TimeAttribute.ROWTIME) if column.name == rowtime else column for column in columns
        )

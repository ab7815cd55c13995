"""Tables, views and functions of a session's catalogs, as the binder asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlglot import exp

from millstream.core.table.expressions import Expression
from millstream.core.table.functions.registry import function_names, scalar_function
from millstream.core.table.python_functions import (
    PythonAggregateFunction,
    PythonScalarFunction,
    PythonTableFunction,
)
from millstream.core.table.row_type import RowType
from millstream.sql.binder.aggregate_calls import AGGREGATES
from millstream.sql.binder.columns import identity
from millstream.sql.binder.expressions import ExpressionBinder
from millstream.sql.binder.literals import text_literal
from millstream.sql.binder.query import QueryBinder
from millstream.sql.binder.scope import Relation, Scope
from millstream.sql.catalog.catalog_manager import CatalogError, CatalogManager, ResolvedRelation
from millstream.sql.catalog.objects import CatalogFunction, CatalogTable, CatalogView, ProgramView
from millstream.sql.errors import QueryError, query_error
from millstream.sql.parser import parse_statement
from millstream.sql.parser.statements import Query
from millstream.sql.plan import nodes as n
from millstream.sql.planner.tables import SinkTable, sink_table, table_relation
from millstream.sql.planner.user_functions import (
    UserFunction,
    as_function,
    call_scalar,
    checked_arguments,
    load_function,
)

CURRENT_DATABASE: Final = "CURRENT_DATABASE"
"""The only built-in function that the session answers."""

Path = tuple[str, ...]
T = TypeVar("T")


class CatalogServices:
    """Implements ``BinderServices``.

    ``inline``: relations with a name that no catalog stores (those of programs), by their whole path. ``defaults``:
    catalog and database of unqualified names; None for the current ones.
    """

    def __init__(
        self,
        catalogs: CatalogManager,
        *,
        batch: bool = False,
        inline: Mapping[Path, n.Node] | None = None,
        functions: Mapping[str, UserFunction] | None = None,
        defaults: tuple[str, str] | None = None,
    ) -> None:
        self.batch = batch
        self._catalogs = catalogs
        self._inline = inline or {}
        self._functions = functions or {}
        self._defaults = defaults
        self._loaded: dict[str, UserFunction | None] = {}

    # -- tables ---------------------------------------------------------------------------------------------------

    def table(self, path: Sequence[str], node: exp.Expr, options: dict[str, str]) -> n.Node:
        full = self._full(path)
        inline = self._inline.get(full)
        if inline is not None:
            return inline
        found = self._resolve(full, node)
        if isinstance(found.relation, CatalogView):
            if options:
                raise query_error(f"{found.name} is a view, and OPTIONS are for tables", node)
            if isinstance(found.relation, ProgramView):
                relation: n.Node = found.relation.node
                return relation
            return self._view(found, found.relation, node)
        table = found.relation
        return self._inside(found, node, lambda: table_relation(found.name, table, options, self.bind_expression))

    def sink(self, path: Sequence[str], options: Mapping[str, str]) -> SinkTable:
        """The table that an INSERT names."""
        found = self._resolve(self._full(path), None)
        if not isinstance(found.relation, CatalogTable):
            raise query_error(f"{found.name} is a view: only tables are written")
        return sink_table(found.name, found.relation, options)

    def _view(self, found: ResolvedRelation, view: CatalogView, node: exp.Expr) -> n.Node:
        statement = parse_statement(view.query)
        assert isinstance(statement, Query)
        defaults = (view.catalog, view.database) if view.catalog else self._defaults
        inner = CatalogServices(
            self._catalogs, batch=self.batch, inline=self._inline, functions=self._functions, defaults=defaults
        )
        relation = self._inside(found, node, lambda: QueryBinder(inner).bind(statement.ast))
        if not view.columns:
            return relation.node
        columns = tuple(column.renamed(name) for column, name in zip(relation.row.columns, view.columns, strict=True))
        return n.Project(RowType(columns), relation.node, identity(relation.row))

    def _inside(self, found: ResolvedRelation, node: exp.Expr | None, make: Callable[[], T]) -> T:
        """An error in a definition is told where the definition is used."""
        try:
            return make()
        except QueryError as error:
            kind = "view" if isinstance(found.relation, CatalogView) else "table"
            where = f", defined at {found.relation.defined_at}" if found.relation.defined_at else ""
            raise query_error(f"in the {kind} {found.name}{where}: {error.message}", node) from error

    def bind_expression(self, expression: exp.Expr, row: RowType) -> Expression:
        """An expression over columns, as a table computes one. Raises ``QueryError``."""
        return ExpressionBinder(Scope(Relation.of(n.Values(row, ()))), self).bind(expression)

    def _full(self, path: Sequence[str]) -> Path:
        if self._defaults is not None and len(path) < 3:
            path = (*self._defaults[: 3 - len(path)], *path)
        try:
            return self._catalogs.qualify(tuple(path))
        except CatalogError:
            return tuple(path)

    def _resolve(self, full: Path, node: exp.Expr | None) -> ResolvedRelation:
        try:
            return self._catalogs.resolve(full)
        except CatalogError as error:
            raise query_error(f"{error.reason}. {error.hint}".rstrip(), node) from error

    # -- functions ------------------------------------------------------------------------------------------------

    def bind_function(self, name: str, arguments: Sequence[Expression]) -> Expression | None:
        function = self._user_function(name)
        if function is None:
            return text_literal(self._catalogs.current_database) if name == CURRENT_DATABASE and not arguments else None
        if not isinstance(function, PythonScalarFunction):
            raise query_error(f"{name} is not a scalar function: it makes {_MAKES[type(function)]}")
        return call_scalar(function, arguments)

    def aggregate_function(self, name: str) -> PythonAggregateFunction | None:
        function = self._user_function(name)
        return function if isinstance(function, PythonAggregateFunction) else None

    def table_function(self, name: str) -> PythonTableFunction | None:
        function = self._user_function(name)
        return function if isinstance(function, PythonTableFunction) else None

    def table_function_row(self, function: Any, arguments: Sequence[Expression]) -> tuple[tuple[str, Any], ...]:
        checked_arguments(function, arguments)
        fields: tuple[tuple[str, Any], ...] = function.result_type.fields
        return fields

    def function_names(self) -> Sequence[str]:
        catalog, database = self._defaults or (self._catalogs.current_catalog, self._catalogs.current_database)
        own = [*self._functions, *self._catalogs.functions(catalog, database)]
        return sorted({*function_names(), *AGGREGATES, CURRENT_DATABASE, *own})

    def _user_function(self, name: str) -> UserFunction | None:
        """A temporary system function, else, where there is no built-in one, one of the catalog."""
        key = name.lower()
        if key in self._functions:
            return self._functions[key]
        if key not in self._loaded:
            stored = self._catalogs.system_function(key)
            if stored is None and scalar_function(name) is None and name.upper() not in AGGREGATES:
                defaults = self._defaults or (self._catalogs.current_catalog, self._catalogs.current_database)
                stored = self._catalogs.function((*defaults, key))
            self._loaded[key] = None if stored is None else _function_of(key, stored)
        return self._loaded[key]


def _function_of(name: str, stored: CatalogFunction) -> UserFunction:
    return load_function(name, stored.target) if stored.function is None else as_function(name, stored.function)


_MAKES = {PythonTableFunction: "rows (use LATERAL TABLE(...))", PythonAggregateFunction: "one value of many rows"}

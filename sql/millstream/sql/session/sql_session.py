"""Executes statements: names and settings here, queries by the runner.

Errors of catalogs and settings get the place of the statement, so that whoever shows them can point at the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from millstream.core.config import Configuration, options
from millstream.core.errors import ConfigError, UserError
from millstream.core.table.row_type import Column
from millstream.sql.catalog.catalog_manager import CatalogError, CatalogManager
from millstream.sql.catalog.objects import CatalogTable
from millstream.sql.parser.errors import SqlError, SqlValidationError
from millstream.sql.parser.script import iterate_script
from millstream.sql.parser.statements import (
    Alter,
    BeginStatementSet,
    CreateCatalog,
    CreateDatabase,
    CreateFunction,
    CreateTable,
    CreateView,
    Describe,
    Drop,
    EndStatementSet,
    Explain,
    Insert,
    Query,
    Reset,
    Set,
    Show,
    Statement,
    StatementSet,
    StopJob,
    Truncate,
    Use,
)
from millstream.sql.session import alterations, definitions
from millstream.sql.session.results import Done, StatementResult, Streaming, Submitted, one_text
from millstream.sql.session.runner import QueryRunner
from millstream.sql.session.settings import SessionSettings
from millstream.sql.session.show import describe, show
from millstream.sql.session.view_types import RelationTypes


class SqlSession:
    """Settings, catalogs and the open statement set of one user. Not thread-safe."""

    def __init__(
        self,
        configuration: Configuration | Callable[[], Configuration],
        catalogs: CatalogManager | None = None,
        runner: QueryRunner | None = None,
    ) -> None:
        """``configuration``: below that of SET; a function where it may change later, see ``SessionSettings``."""
        self._settings = SessionSettings(configuration if callable(configuration) else lambda: configuration)
        self.catalogs = catalogs or CatalogManager(self.configuration)
        self._runner = runner
        self._script_name = ""
        self._collected: list[Insert] | None = None

    @property
    def configuration(self) -> Configuration:
        """The settings as SET left them."""
        return self._settings.configuration

    def set_option(self, key: str, value: str) -> None:
        """What SET does. Raises ``ConfigError`` for an unknown setting or a value it cannot have."""
        self._settings.put(key, value)

    @property
    def runner(self) -> QueryRunner | None:
        return self._runner

    @property
    def in_statement_set(self) -> bool:
        """BEGIN STATEMENT SET was executed and END was not: inserts are collected."""
        return self._collected is not None

    def execute_script(self, source: str, name: str = "") -> Iterator[tuple[Statement, StatementResult]]:
        """Parse and execute one statement after the other; those before a wrong one have run.

        ``name`` is how tables remember where they were defined.
        """
        self._script_name = name
        for statement in iterate_script(source):
            yield statement, self.execute(statement)

    def require_no_open_set(self) -> None:
        """Raises ``UserError`` if BEGIN STATEMENT SET was never ended: its inserts have not run."""
        if self._collected is not None:
            raise UserError(f"BEGIN STATEMENT SET without END: its {len(self._collected)} INSERTs have not run.")

    def execute(self, statement: Statement) -> StatementResult:
        """Raises ``SqlError`` with the place for what the statement gets wrong."""
        run = _EXECUTORS.get(type(statement))
        assert run is not None, f"{type(statement).__name__} has no executor"
        if self._collected is not None and not isinstance(statement, Insert | EndStatementSet):
            raise _at(statement, "only INSERT and END may stand in a statement set")
        try:
            return run(self, statement)
        except CatalogError as error:
            raise _at(statement, error.reason, error.hint) from error
        except ConfigError as error:
            raise _at(statement, error.message) from error

    # -- names --------------------------------------------------------------------------------------------------------

    def _create_table(self, statement: CreateTable) -> StatementResult:
        if statement.as_query is None:
            definitions.create_table(statement, self.catalogs, self._place(statement), (), self._check_table)
            return Done()
        runner = self._require_runner(statement, "CREATE TABLE ... AS")
        columns = runner.query_type(self, statement.as_query, statement.source).columns
        if not definitions.create_table(statement, self.catalogs, self._place(statement), columns, self._check_table):
            return Done()
        insert = Insert(
            position=statement.position,
            text=statement.text,
            source=statement.source,
            path=statement.path,
            columns=tuple(column.name for column in columns),
            query=statement.as_query,
        )
        return self._insert(insert)

    def _check_table(self, table: CatalogTable, statement: Statement) -> None:
        if self._runner is not None:
            self._runner.check_table(self, table, statement)

    def _create_view(self, statement: CreateView) -> StatementResult:
        columns: tuple[Column, ...] | None = None
        if self._runner is not None:
            columns = self._runner.query_type(self, statement.query, statement.source).columns
        definitions.create_view(statement, self.catalogs, self._place(statement), columns)
        return Done()

    def _create_function(self, statement: CreateFunction) -> StatementResult:
        definitions.create_function(statement, self.catalogs)
        return Done()

    def _create_catalog(self, statement: CreateCatalog) -> StatementResult:
        definitions.create_catalog(statement, self.catalogs)
        return Done()

    def _create_database(self, statement: CreateDatabase) -> StatementResult:
        definitions.create_database(statement, self.catalogs)
        return Done()

    def _drop(self, statement: Drop) -> StatementResult:
        definitions.drop(statement, self.catalogs)
        return Done()

    def _alter(self, statement: Alter) -> StatementResult:
        alterations.alter(statement, self.catalogs, self._check_table)
        return Done()

    def _use(self, statement: Use) -> StatementResult:
        definitions.use(statement, self.catalogs)
        return Done()

    def _show(self, statement: Show) -> StatementResult:
        built_in = self._runner.built_in_functions() if self._runner is not None else ()
        return show(statement, self.catalogs, self._types(), built_in)

    def _describe(self, statement: Describe) -> StatementResult:
        return describe(statement, self.catalogs, self._types())

    def _set(self, statement: Set) -> StatementResult:
        return self._settings.set(statement)

    def _reset(self, statement: Reset) -> StatementResult:
        return self._settings.reset(statement)

    # -- queries ------------------------------------------------------------------------------------------------------

    def _query(self, statement: Query) -> StatementResult:
        return Streaming(self._require_runner(statement, "running a query").run_query(self, statement))

    def _insert(self, statement: Insert) -> StatementResult:
        if self._collected is not None:
            self._collected.append(statement)
            return Done("added to the statement set")
        return self._run_inserts(statement, [statement])

    def _begin(self, statement: BeginStatementSet) -> StatementResult:
        self._collected = []
        return Done("statements are collected until END")

    def _end(self, statement: EndStatementSet) -> StatementResult:
        collected, self._collected = self._collected, None
        if collected is None:
            raise _at(statement, "END without BEGIN STATEMENT SET")
        if not collected:
            raise _at(statement, "a statement set without INSERT")
        return self._run_inserts(statement, collected)

    def _statement_set(self, statement: StatementSet) -> StatementResult:
        return self._run_inserts(statement, list(statement.inserts))

    def _run_inserts(self, statement: Statement, inserts: list[Insert]) -> StatementResult:
        job = self._require_runner(statement, "INSERT").run_inserts(self, inserts)
        waited = self.configuration[options.TABLE_DML_SYNC]
        if waited:
            job.wait()
        return Submitted(job, waited)

    def _explain(self, statement: Explain) -> StatementResult:
        runner = self._require_runner(statement, "EXPLAIN")
        return one_text("result", runner.explain(self, statement.statement, statement.details))

    def _elsewhere(self, statement: Statement) -> StatementResult:
        words = " ".join(statement.text.upper().split()[:2])
        hint = "Use the command 'millstream stop'." if isinstance(statement, StopJob) else ""
        raise _at(statement, f"{words} is not supported", hint)

    def _types(self) -> RelationTypes:
        return RelationTypes(self, self._runner)

    def _require_runner(self, statement: Statement, what: str) -> QueryRunner:
        if self._runner is None:
            raise _at(statement, f"{what} needs a cluster, and this session has none")
        return self._runner

    def _place(self, statement: Statement) -> str:
        return f"{self._script_name}:{statement.position.line}" if self._script_name else ""


def _at(statement: Statement, message: str, hint: str = "") -> SqlError:
    return SqlValidationError.at(statement.source, statement.position.offset, message, hint)


_EXECUTORS: Final[dict[type[Statement], Callable[[SqlSession, Any], StatementResult]]] = {
    Query: SqlSession._query,
    Insert: SqlSession._insert,
    StatementSet: SqlSession._statement_set,
    BeginStatementSet: SqlSession._begin,
    EndStatementSet: SqlSession._end,
    CreateTable: SqlSession._create_table,
    CreateView: SqlSession._create_view,
    CreateFunction: SqlSession._create_function,
    CreateCatalog: SqlSession._create_catalog,
    CreateDatabase: SqlSession._create_database,
    Drop: SqlSession._drop,
    Alter: SqlSession._alter,
    Use: SqlSession._use,
    Show: SqlSession._show,
    Describe: SqlSession._describe,
    Explain: SqlSession._explain,
    Set: SqlSession._set,
    Reset: SqlSession._reset,
    Truncate: SqlSession._elsewhere,
    StopJob: SqlSession._elsewhere,
}

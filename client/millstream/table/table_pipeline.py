"""A query on its way into a table (``pyflink.table.TablePipeline``), and several as one job (``StatementSet``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from millstream.client.queries.runner import planner
from millstream.datastream.call_site import refuse
from millstream.sql.parser import parse_statement
from millstream.sql.parser.statements import Insert
from millstream.sql.plan.nodes import Node
from millstream.sql.planner.planner import InsertPlan, PlannedJob
from millstream.sql.planner.services import CatalogServices
from millstream.sql.planner.tables import SinkTable, sink_table
from millstream.sql.session.results import Submitted
from millstream.table.binding import placed, services_of
from millstream.table.explain_detail import ExplainDetail
from millstream.table.paths import path_of
from millstream.table.schema import Schema
from millstream.table.table_descriptor import TableDescriptor
from millstream.table.table_result import TableResult

if TYPE_CHECKING:
    from millstream.table.table import Table
    from millstream.table.table_environment import TableEnvironment

Target = str | TableDescriptor


class TablePipeline:
    """One query and the table it goes to."""

    def __init__(self, environment: TableEnvironment, node: Node, target: Target) -> None:
        self._environment = environment
        self._plan = insert_plan(environment, node, target)

    def execute(self, overwrite: bool = False) -> TableResult:
        """Submit the job. It runs on; ``wait`` of the result waits for its end."""
        if overwrite:
            raise refuse("INSERT OVERWRITE is not supported. Drop what is there first.")
        return run_inserts(self._environment, [self._plan])

    def explain(self, *extra_details: ExplainDetail) -> str:
        """The plans as text."""
        planned = planned_inserts(self._environment, [self._plan])
        return ExplainDetail.text(self._environment._session, planned, extra_details)


class StatementSet:
    """Queries into tables that run as one job: what they have in common runs once."""

    def __init__(self, environment: TableEnvironment) -> None:
        self._environment = environment
        self._plans: list[InsertPlan] = []

    def add_insert(self, target_path: Target, table: Table, overwrite: bool = False) -> StatementSet:
        """Add a table that is written to ``target_path``."""
        if overwrite:
            raise refuse("INSERT OVERWRITE is not supported. Drop what is there first.")
        self._plans.append(insert_plan(self._environment, table._node, target_path))
        return self

    def add_insert_sql(self, stmt: str) -> StatementSet:
        """Add an ``INSERT INTO ...``."""
        statement = parse_statement(stmt)
        if not isinstance(statement, Insert):
            raise refuse("add_insert_sql takes one INSERT INTO ... .")
        self._plans.append(self._environment._runner.insert_plan(self._environment._session, statement))
        return self

    def add(self, pipeline: TablePipeline) -> StatementSet:
        """Add what ``insert_into`` of a table made."""
        self._plans.append(pipeline._plan)
        return self

    def execute(self) -> TableResult:
        """Submit one job for all, and begin anew."""
        result = run_inserts(self._environment, self._required("execute"))
        self._plans = []
        return result

    def explain(self, *extra_details: ExplainDetail) -> str:
        """The plans of the job as text."""
        planned = planned_inserts(self._environment, self._required("explain"))
        return ExplainDetail.text(self._environment._session, planned, extra_details)

    def _required(self, method: str) -> list[InsertPlan]:
        if not self._plans:
            raise refuse(f"{method} of a statement set to which nothing was added.")
        return self._plans


def insert_plan(environment: TableEnvironment, node: Node, target: Target) -> InsertPlan:
    """A relation and the table it goes to. Raises ``JobGraphError`` for one that there is not."""
    services = services_of(environment._session)
    return InsertPlan(node, placed(lambda: _sink(services, node, target)))


def _sink(services: CatalogServices, node: Node, target: Target) -> SinkTable:
    if isinstance(target, TableDescriptor):
        table = target.catalog_table(Schema.of(node.row))
        return sink_table(f"{target.options.get('connector', 'table')} of the program", table, {})
    return services.sink(path_of(target, "execute_insert"), {})


def planned_inserts(environment: TableEnvironment, plans: Sequence[InsertPlan]) -> PlannedJob:
    """One job for all ``plans``."""
    return placed(lambda: planner(environment._session).plan_inserts(plans))


def run_inserts(environment: TableEnvironment, plans: Sequence[InsertPlan]) -> TableResult:
    """Submit one job for all ``plans``."""
    planned = planned_inserts(environment, plans)
    names = ",".join(plan.table.name for plan in plans)
    job, _ = environment._submit(planned, f"insert-into_{names}")
    return TableResult(Submitted(job), environment._session.configuration)

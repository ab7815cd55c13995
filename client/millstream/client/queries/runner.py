"""Plans the queries of a session and runs them on the cluster of the process's session."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlglot import exp

from millstream.client.job_client import JobClient
from millstream.client.queries.result import ClusterQueryResult
from millstream.client.queries.session_zone import session_zone
from millstream.client.session import current_session
from millstream.client.submit import compare_state, submit_graph
from millstream.core.config import options
from millstream.core.errors import ConfigError, UserError
from millstream.core.table.functions.registry import function_names
from millstream.core.table.row_type import RowType
from millstream.sql.binder.aggregate_calls import AGGREGATES, OVER_ONLY
from millstream.sql.binder.hints import table_options
from millstream.sql.catalog.objects import CatalogTable
from millstream.sql.errors import QueryError
from millstream.sql.parser.errors import SqlError, SqlValidationError
from millstream.sql.parser.statements import ExplainDetail, Insert, Query, Statement, StatementSet
from millstream.sql.plan.nodes import Node
from millstream.sql.planner.execution_plan import execution_plan
from millstream.sql.planner.physical import APPEND_ONLY
from millstream.sql.planner.planner import InsertPlan, PlannedJob, Planner
from millstream.sql.planner.services import CURRENT_DATABASE, CatalogServices
from millstream.sql.planner.settings import PlannerSettings
from millstream.sql.planner.tables import check_columns
from millstream.sql.planner.uids import operators_of
from millstream.sql.session.runner import SessionContext

T = TypeVar("T")


class ClusterRunner:
    """Implements ``QueryRunner``."""

    def run_query(self, context: SessionContext, query: Query) -> ClusterQueryResult:
        planned = self._located(query, lambda: planner(context).plan_query(query.ast))
        return run_planned_query(context, planned)

    def run_inserts(self, context: SessionContext, inserts: Sequence[Insert]) -> JobClient:
        planned, names = self._plan_inserts(context, inserts)
        job, _ = submit_planned(context, planned, f"insert-into_{','.join(names)}")
        return job

    def explain(
        self, context: SessionContext, statement: Query | Insert | StatementSet, details: Sequence[ExplainDetail]
    ) -> str:
        if isinstance(statement, Query):
            planned = self._located(statement, lambda: planner(context).plan_query(statement.ast))
        else:
            inserts = statement.inserts if isinstance(statement, StatementSet) else (statement,)
            planned, _ = self._plan_inserts(context, inserts)
        return explained(context, planned, {detail.value for detail in details})

    def insert_plan(self, context: SessionContext, insert: Insert) -> InsertPlan:
        """What an INSERT writes where, for a job that is planned elsewhere. Raises ``SqlError`` with the place."""
        made = planner(context)
        plan = _insert_plan(made.services, insert)
        bound = self._located(insert, lambda: made.bind(insert.query))
        return replace(plan, query=bound)

    def query_node(self, context: SessionContext, query: Query) -> Node:
        """The relation of a query. Raises ``SqlError`` with the place."""
        return self._located(query, lambda: planner(context).bind(query.ast))

    def query_type(self, context: SessionContext, query: exp.Expr, source: str) -> RowType:
        return _located(source, 0, lambda: planner(context).bind(query).row)

    def check_table(self, context: SessionContext, table: CatalogTable, statement: Statement) -> None:
        services = planner(context).services
        self._located(statement, lambda: check_columns("of the statement", table, services.bind_expression))

    def built_in_functions(self) -> Sequence[str]:
        return sorted({*function_names(), *AGGREGATES, *OVER_ONLY, CURRENT_DATABASE})

    def _plan_inserts(self, context: SessionContext, inserts: Sequence[Insert]) -> tuple[PlannedJob, list[str]]:
        made = planner(context)
        plans = [_insert_plan(made.services, insert) for insert in inserts]
        planned = self._located(inserts[0], lambda: made.plan_inserts(plans))
        return planned, [plan.table.name for plan in plans]

    def _located(self, statement: Statement, plan: Callable[[], T]) -> T:
        return _located(statement.source, statement.position.offset, plan)


def _insert_plan(services: CatalogServices, insert: Insert) -> InsertPlan:
    if insert.overwrite:
        hint = "INSERT INTO adds rows to those that are there."
        raise SqlValidationError.at(insert.source, insert.position.offset, "INSERT OVERWRITE is not supported", hint)
    target = exp.Table(hints=list(insert.hints))
    sink = _located(insert.source, insert.position.offset, lambda: services.sink(insert.path, table_options(target)))
    return InsertPlan(insert.query, sink, insert.columns, insert.partition)


def _located(source: str, offset: int, plan: Callable[[], T]) -> T:
    """Errors of the binder, which knows nodes, at their places in the text."""
    try:
        return plan()
    except QueryError as error:
        if error.node is None:
            raise SqlValidationError.at(source, offset, error.message) from error
        raise SqlValidationError.at_node(source, error.node, error.message, default=offset) from error
    except SqlError:
        raise
    except ConfigError as error:
        raise SqlValidationError.at(source, offset, error.message) from error


def planner_settings(context: SessionContext) -> PlannerSettings:
    """What the planner takes from the session's settings as they are now. Raises ``ConfigError``."""
    settings = context.configuration.flatten()
    settings[options.TABLE_LOCAL_TIME_ZONE.key] = session_zone(context.configuration).key
    return PlannerSettings.of(settings)


def planner(context: SessionContext) -> Planner:
    """A planner with the names and the settings of the session as they are now. Raises ``ConfigError``."""
    settings = planner_settings(context)
    return Planner(CatalogServices(context.catalogs, batch=settings.batch), settings)


def submit_planned(
    context: SessionContext, planned: PlannedJob, default_name: str
) -> tuple[JobClient, Mapping[int, str]]:
    """Submit a planned job; its handle, and the operator ids of its ends by their order."""
    settings, name, parallelism = job_settings(context, planned, default_name)
    graph, ends = planned.graph(name, parallelism)
    job, ids = submit_graph(graph, settings)
    return job, {order: ids[end] for order, end in enumerate(ends)}


def explained(context: SessionContext, planned: PlannedJob, details: Collection[str]) -> str:
    """The plans of a job as text, and the further ``details`` that EXPLAIN knows by these names."""
    text = planned.explain(
        changelog_mode=ExplainDetail.CHANGELOG_MODE.value in details,
        state=ExplainDetail.ESTIMATED_COST.value in details,
        advice=ExplainDetail.PLAN_ADVICE.value in details,
    )
    if ExplainDetail.STATE_RECOVERY.value in details:
        text += f"\n== State Recovery ==\n{_recovered_state(context, planned)}\n"
    if ExplainDetail.JSON_EXECUTION_PLAN.value in details:
        text += f"\n== Physical Execution Plan ==\n{_execution_plan(context, planned)}\n"
    return text


def _execution_plan(context: SessionContext, planned: PlannedJob) -> str:
    """The operators and how rows get from one to the next, as JSON."""
    _, name, parallelism = job_settings(context, planned, "explained")
    graph, _ = planned.graph(name, parallelism)
    return execution_plan(graph)


def _recovered_state(context: SessionContext, planned: PlannedJob) -> str:
    """What the job would start with of the savepoint that the session's settings name; it is not submitted."""
    if any(operator.stream is not None for operator in operators_of(planned.ends)):
        raise UserError(
            "STATE_RECOVERY cannot tell of a table that reads a stream of the program: use "
            "`millstream savepoint diff PATH SCRIPT`"
        )
    settings, name, parallelism = job_settings(context, planned, "explained")
    graph, _ = planned.graph(name, parallelism)
    return compare_state(graph, settings)


def job_settings(context: SessionContext, planned: PlannedJob, default_name: str) -> tuple[dict[str, Any], str, int]:
    """Settings, name and parallelism of the job that a session submits. Shows the warnings of the plan."""
    configuration = context.configuration
    settings: dict[str, Any] = configuration.flatten_for_job()
    settings[options.TABLE_LOCAL_TIME_ZONE.key] = session_zone(configuration).key
    name = configuration[options.PIPELINE_NAME] or default_name
    parallelism = configuration[options.TABLE_DEFAULT_PARALLELISM]
    if parallelism < 1:
        parallelism = configuration[options.PARALLELISM_DEFAULT] or current_session().default_parallelism()
    for warning in planned.warnings:
        current_session().warn(warning)
    return settings, name, parallelism


def run_planned_query(context: SessionContext, planned: PlannedJob) -> ClusterQueryResult:
    """Run a query whose rows the client fetches."""
    job, ends = submit_planned(context, planned, "collect")
    return query_result(job, ends, planned)


def query_result(job: JobClient, ends: Mapping[int, str], planned: PlannedJob) -> ClusterQueryResult:
    """The rows of a query that was submitted; ``ends`` as ``submit_planned`` gives them."""
    return ClusterQueryResult(job, ends[0], planned.row, planned.ends[0].changes == APPEND_ONLY)

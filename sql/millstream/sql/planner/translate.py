"""A relation to the operator that computes it, with the exchange that brings each row to where its key lives.

What was before an update (-U) is sent only where somebody needs it: each relation is asked for with ``before``, and
asks its inputs in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from millstream.core.graph.specs import OperatorSpec, SourceSpec
from millstream.core.graph.stream_graph import Exchange
from millstream.core.table import specs as s
from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.row_type import RowType, TimeAttribute
from millstream.core.table.watermarks import ExpressionWatermarks
from millstream.sql.binder.columns import identity
from millstream.sql.errors import query_error, unsupported
from millstream.sql.optimizer.push_filters import substituted
from millstream.sql.plan import nodes as n
from millstream.sql.plan.properties import (
    Changelog,
    batch_changelog,
    changelog,
    is_time_sort,
    over_in_order,
    smallest,
    time_columns,
    unique_keys,
)
from millstream.sql.planner import translate_joins
from millstream.sql.planner.explain import identity_text
from millstream.sql.planner.kept_states import kept_columns
from millstream.sql.planner.local_ranks import local_deduplicate, local_rank
from millstream.sql.planner.physical import PhysicalEdge, PhysicalOperator, kinds_of
from millstream.sql.planner.settings import PlannerSettings

_STATELESS: Final = (
    s.CalcSpec,
    s.ExpandSpec,
    s.CorrelateSpec,
    s.WindowTableSpec,
    s.NotNullSpec,
    s.RowsToTableSpec,
    s.DropUpdateBeforeSpec,
)

Parts = list[PhysicalOperator]
"""Several operators that one consumer reads as one input: UNION ALL."""


class Translator:
    """Translates the relations of one job."""

    def __init__(self, settings: PlannerSettings) -> None:
        self.settings = settings
        self._done: dict[tuple[n.Node, bool], Parts] = {}
        self.timed_scans: dict[tuple[n.Scan, ExpressionWatermarks], PhysicalOperator] = {}
        """Sources with watermarks, each read once."""

    def parts(self, node: n.Node, *, before: bool) -> Parts:
        """The operators whose rows together are the relation's."""
        before = before and self.changelog(node).updates
        done = self._done.get((node, before))
        if done is None:
            if self.settings.batch and isinstance(node, n.WatermarkAssigner):
                done = self.parts(node.input, before=before)  # nothing is late: all waits for the end
            elif isinstance(node, n.Union):
                done = [operator for part in node.parts for operator in self.parts(part, before=before)]
            else:
                done = [_HANDLERS[type(node)](self, node, before)]
            self._done[(node, before)] = done
        return done

    def changelog(self, node: n.Node) -> Changelog:
        """The changes that the relation sends in this mode."""
        return batch_changelog(node) if self.settings.batch else changelog(node)

    # -- making operators -------------------------------------------------------------------------------------------

    def operator(
        self,
        name: str,
        spec: OperatorSpec,
        row: RowType,
        edges: list[PhysicalEdge],
        *,
        node: n.Node | None = None,
        before: bool = False,
        single: bool = False,
        parallelism: int | None = None,
    ) -> PhysicalOperator:
        """An operator; ``single``: in one subtask."""
        operator = PhysicalOperator(
            name,
            spec,
            row,
            tuple(edges),
            1 if single else parallelism,
            "I" if node is None else _changes(self.changelog(node), before),
        )
        if node is not None and not isinstance(spec, _STATELESS):
            operator.identity = identity_text(node) + kept_columns(spec)
        return operator

    def forward(self, node: n.Node, *, before: bool, index: int = 0) -> list[PhysicalEdge]:
        """Edges from a relation whose rows may stay where they are."""
        return [PhysicalEdge(part, input_index=index) for part in self.parts(node, before=before)]

    def keyed(self, parts: Parts, keys: tuple[int, ...], index: int = 0) -> list[PhysicalEdge]:
        """Edges that bring rows with equal keys to the same subtask; without keys, all rows to one."""
        exchange = Exchange.HASH if keys else Exchange.GLOBAL
        return [PhysicalEdge(part, exchange, keys, index) for part in parts]

    def keyed_by(self, node: n.Node, keys: tuple[int, ...], *, before: bool) -> list[PhysicalEdge]:
        return self.keyed(self.parts(node, before=before), keys)

    def calc(
        self, parts: Parts, row: RowType, projections: tuple[Expression, ...], condition: Expression | None = None
    ) -> PhysicalOperator:
        """A calculation over ``parts``, which have the same columns."""
        spec = s.CalcSpec(parts[0].row, row, projections, condition)
        edges = [PhysicalEdge(part) for part in parts]
        return PhysicalOperator("Calc", spec, row, tuple(edges), changes=kinds_of(parts))


def _changes(found: Changelog, before: bool) -> str:
    kinds = ["I"]
    if found.updates:
        kinds += ["UB", "UA"] if before else ["UA"]
    if found.deletes:
        kinds.append("D")
    return ",".join(kinds)


# -- sources and rows ----------------------------------------------------------------------------------------------


def _scan(
    t: Translator, node: n.Scan, before: bool, watermarks: ExpressionWatermarks | None = None
) -> PhysicalOperator:
    planned = node.table.open(node)
    opened = planned.source
    strategy = None
    if watermarks is not None:
        opened, strategy = opened.in_time_order(), watermarks.strategy(t.settings.idle_timeout_ms)
    if t.settings.batch and not planned.bounded:
        raise query_error(
            f"the table {node.table.name} never ends, and 'execution.runtime-mode' is batch. SET it to 'streaming', or "
            f"bound the table by its options"
        )
    source = t.operator(
        f"Source: {node.table.name}", SourceSpec(opened, strategy), node.row, [], parallelism=planned.parallelism
    )
    source.identity = f"source of {node.table.name}"
    source.changes = str(t.changelog(node)) if not node.table.needs_normalize else "I,UA,D"
    if not node.table.needs_normalize:
        return source
    keys = tuple(sorted(smallest(unique_keys(node))))
    spec = s.ChangelogNormalizeSpec(node.row, node.row, keys, before, t.settings.state_ttl_ms)
    return t.operator("ChangelogNormalize", spec, node.row, t.keyed([source], keys), node=node, before=before)


def _stream(t: Translator, node: n.StreamScan, before: bool) -> PhysicalOperator:
    """What the stream sends; before an update where it is a changelog, whoever asks."""
    spec = s.RowsToTableSpec(node.row, node.changelog, node.stream.rowtime)
    operator = t.operator("StreamToTable", spec, node.row, [])
    operator.stream = node.stream
    operator.changes = "I,UB,UA,D" if node.changelog else "I"
    return operator


def _values(t: Translator, node: n.Values, before: bool) -> PhysicalOperator:
    from millstream.sql.planner.inline_rows import inline_source

    return t.operator("Source: Values", SourceSpec(inline_source(node)), node.row, [], single=True)


def _watermark(t: Translator, node: n.WatermarkAssigner, before: bool) -> PhysicalOperator:
    """Right above a source the watermark is the source's affair: it knows its splits, whose times differ."""
    inner = node.input
    scan = inner.input if isinstance(inner, n.Project) else inner
    if isinstance(scan, n.Scan) and not scan.table.needs_normalize:
        return _timed_scan(t, node, scan, before)
    spec = s.WatermarkAssignerSpec(node.input.row, node.row, node.rowtime, node.expression, t.settings.idle_timeout_ms)
    edges = t.forward(node.input, before=before)
    return t.operator("WatermarkAssigner", spec, node.row, edges, node=node, before=before)


def _timed_scan(t: Translator, node: n.WatermarkAssigner, scan: n.Scan, before: bool) -> PhysicalOperator:
    expressions = node.input.expressions if isinstance(node.input, n.Project) else identity(scan.row)
    watermarks = ExpressionWatermarks(
        scan.row,
        node.row[node.rowtime].name,
        expressions[node.rowtime],
        substituted(node.expression, expressions),
        t.settings.time_zone,
    )
    key = (scan, watermarks)
    source = t.timed_scans.get(key)
    if source is None:
        source = t.timed_scans[key] = _scan(t, scan, before, watermarks)
    if expressions == identity(scan.row) and node.row.names == scan.row.names:
        return source
    return t.calc([source], node.row, expressions)


def _project(t: Translator, node: n.Project, before: bool) -> PhysicalOperator:
    inner, condition = node.input, None
    if isinstance(inner, n.Filter):
        condition = inner.condition
        inner = inner.input
    needs = before or (condition is not None and t.changelog(inner).updates)
    spec = s.CalcSpec(inner.row, node.row, node.expressions, condition)
    return t.operator("Calc", spec, node.row, t.forward(inner, before=needs), node=node, before=needs)


def _filter(t: Translator, node: n.Filter, before: bool) -> PhysicalOperator:
    """An updated row may pass where the one before it did not: both must be seen."""
    needs = t.changelog(node.input).updates
    spec = s.CalcSpec(node.input.row, node.row, identity(node.row), node.condition)
    return t.operator("Calc", spec, node.row, t.forward(node.input, before=needs), node=node, before=needs)


def _expand(t: Translator, node: n.Expand, before: bool) -> PhysicalOperator:
    spec = s.ExpandSpec(node.input.row, node.row, node.projections)
    return t.operator("Expand", spec, node.row, t.forward(node.input, before=before), node=node, before=before)


def _replicate(t: Translator, node: n.Replicate, before: bool) -> PhysicalOperator:
    spec = s.ReplicateSpec(node.input.row, node.row)
    return t.operator("Replicate", spec, node.row, t.forward(node.input, before=True), node=node, before=before)


def _correlate(t: Translator, node: n.Correlate, before: bool) -> PhysicalOperator:
    call = node.arguments[0] if node.arguments else InputRef(node.row[0].type, 0)
    spec = s.CorrelateSpec(
        node.input.row,
        node.row,
        call,
        node.function,
        node.arguments,
        node.left_outer,
        with_ordinality=node.with_ordinality,
    )
    needs = t.changelog(node.input).updates
    return t.operator("Correlate", spec, node.row, t.forward(node.input, before=needs), node=node, before=needs)


def _window_table(t: Translator, node: n.WindowTable, before: bool) -> PhysicalOperator:
    event_time = _event_time(node.input, node.time, node.window.kind.value)
    spec = s.WindowTableSpec(node.input.row, node.row, node.window, node.time, event_time)
    edges = t.forward(node.input, before=before)
    return t.operator("WindowTableFunction", spec, node.row, edges, node=node, before=before)


# -- aggregates ----------------------------------------------------------------------------------------------------


def _aggregate(t: Translator, node: n.Aggregate, before: bool) -> PhysicalOperator:
    spec = s.GroupAggregateSpec(
        node.input.row,
        node.row,
        node.keys,
        node.calls,
        retracts=not t.changelog(node.input).append_only,
        update_before=before,
        ttl_ms=t.settings.state_ttl_ms if node.ttl_ms is None else node.ttl_ms,
        final_only=t.settings.batch,
        global_row=not node.keys,
    )
    edges = t.keyed_by(node.input, node.keys, before=True)
    return t.operator("GroupAggregate", spec, node.row, edges, node=node, before=before, single=not node.keys)


def _window_aggregate(t: Translator, node: n.WindowAggregate, before: bool) -> PhysicalOperator:
    attached = node.attached_start is not None
    event_time = True
    if not attached:
        event_time = _event_time(node.input, node.time, node.window.kind.value)
    spec = s.WindowAggregateSpec(
        node.input.row,
        node.row,
        node.keys,
        node.calls,
        node.window,
        node.time,
        node.properties,
        event_time,
        node.attached_start,
        retracts=not t.changelog(node.input).append_only,
    )
    edges = t.keyed_by(node.input, node.keys, before=True)
    return t.operator("WindowAggregate", spec, node.row, edges, node=node, single=not node.keys)


def _over(t: Translator, node: n.Over, before: bool) -> PhysicalOperator:
    if t.settings.batch or not over_in_order(node):
        return _general_over(t, node, before)
    order = node.order[0].column
    assert node.preceding is None or isinstance(node.preceding, int)
    spec = s.OverSpec(
        node.input.row,
        node.row,
        node.partition,
        order,
        time_columns(node.input)[order] is TimeAttribute.ROWTIME,
        node.frame,
        node.preceding,
        node.calls,
        t.settings.state_ttl_ms,
    )
    edges = t.keyed_by(node.input, node.partition, before=False)
    return t.operator("OverAggregate", spec, node.row, edges, node=node, single=not node.partition)


def _general_over(t: Translator, node: n.Over, before: bool) -> PhysicalOperator:
    spec = s.GeneralOverSpec(
        node.input.row,
        node.row,
        node.partition,
        node.order,
        node.frame,
        node.preceding,
        node.following,
        node.calls,
        retracts=not t.changelog(node.input).append_only,
        update_before=before,
        ttl_ms=t.settings.state_ttl_ms,
        final_only=t.settings.batch,
    )
    edges = t.keyed_by(node.input, node.partition, before=True)
    return t.operator("OverAggregate", spec, node.row, edges, node=node, before=before, single=not node.partition)


# -- the first rows ------------------------------------------------------------------------------------------------


def _rank(t: Translator, node: n.Rank, before: bool) -> PhysicalOperator:
    if node.window is not None:
        return _window_rank(t, node)
    spec = s.RankSpec(
        node.input.row,
        node.row,
        node.function,
        node.partition,
        node.order,
        node.first,
        node.last,
        node.with_rank,
        retracts=not t.changelog(node.input).append_only,
        update_before=before,
        ttl_ms=t.settings.state_ttl_ms,
        final_only=t.settings.batch,
    )
    parts = t.parts(node.input, before=True)
    edges = t.keyed(local_rank(parts, spec) if t.settings.local_parts else parts, node.partition)
    return t.operator("Rank", spec, node.row, edges, node=node, before=before, single=not node.partition)


def _window_rank(t: Translator, node: n.Rank) -> PhysicalOperator:
    assert node.window is not None and node.last is not None
    if node.function != "ROW_NUMBER":
        raise unsupported(f"{node.function} in a window", instead="Use ROW_NUMBER.")
    start, end = node.window
    spec = s.WindowRankSpec(
        node.input.row,
        node.row,
        node.partition,
        node.order,
        start,
        end,
        node.first,
        node.last,
        node.with_rank,
    )
    edges = t.keyed_by(node.input, node.partition, before=True)
    return t.operator("WindowRank", spec, node.row, edges, node=node, single=not node.partition)


def _deduplicate(t: Translator, node: n.Deduplicate, before: bool) -> PhysicalOperator:
    event_time = time_columns(node.input)[node.order] is TimeAttribute.ROWTIME
    spec = s.DeduplicateSpec(
        node.input.row,
        node.row,
        node.keys,
        node.order if event_time else None,
        node.keep_last,
        before,
        ttl_ms=t.settings.state_ttl_ms,
        final_only=t.settings.batch,
    )
    parts = t.parts(node.input, before=False)
    edges = t.keyed(local_deduplicate(parts, spec) if t.settings.local_parts else parts, node.keys)
    return t.operator("Deduplicate", spec, node.row, edges, node=node, before=before, single=not node.keys)


def _sort(t: Translator, node: n.Sort, before: bool) -> PhysicalOperator:
    appends = t.changelog(node.input).append_only
    name = "SortLimit" if node.order else "Limit"
    if (t.settings.batch and node.order) or (appends and not node.order):
        spec: OperatorSpec = s.SortLimitSpec(
            node.input.row, node.row, node.order, node.offset, node.fetch, retracts=not appends
        )
        edges = t.keyed_by(node.input, (), before=True)
        return t.operator(name, spec, node.row, edges, node=node, single=True)
    limited = node.fetch is not None or node.offset > 0
    if appends and is_time_sort(node) and not limited:
        spec = s.TemporalSortSpec(node.input.row, node.row, node.order)
        edges = t.keyed_by(node.input, (), before=True)
        return t.operator("TemporalSort", spec, node.row, edges, node=node, single=True)
    if node.fetch is None and node.order:
        raise unsupported(
            "ORDER BY in a stream without LIMIT, by something other than event time first or over updated rows",
            instead="Add LIMIT, or SET 'execution.runtime-mode' = 'batch' when all input is bounded.",
        )
    # Rows that are taken back leave their place to others: without an order, to those that came next.
    top = s.RankSpec(
        node.input.row,
        node.row,
        "ROW_NUMBER",
        (),
        node.order,
        node.offset + 1,
        None if node.fetch is None else node.offset + node.fetch,
        False,
        retracts=not appends,
        update_before=before,
        final_only=t.settings.batch,
    )
    parts = t.parts(node.input, before=True)
    edges = t.keyed(local_rank(parts, top) if t.settings.local_parts else parts, ())
    return t.operator(name, top, node.row, edges, node=node, before=before, single=True)


def _event_time(node: n.Node, time: int, what: str) -> bool:
    """Whether a window goes by event time. Raises ``QueryError`` when the column is no longer a time attribute."""
    found = time_columns(node).get(time)
    if found is None:
        raise query_error(
            f"{what} goes by {node.row[time].name!r}, whose rows no longer come in the order of their time: it has "
            f"passed a regular join or an updating aggregate. Window the inputs of the join, or join them within an "
            f"interval of time"
        )
    return found is TimeAttribute.ROWTIME


_HANDLERS: Final[dict[type, Callable[[Translator, Any, bool], PhysicalOperator]]] = {
    n.Scan: _scan,
    n.StreamScan: _stream,
    n.Values: _values,
    n.WatermarkAssigner: _watermark,
    n.Project: _project,
    n.Filter: _filter,
    n.Expand: _expand,
    n.Replicate: _replicate,
    n.Correlate: _correlate,
    n.WindowTable: _window_table,
    n.Aggregate: _aggregate,
    n.WindowAggregate: _window_aggregate,
    n.Over: _over,
    n.Rank: _rank,
    n.Deduplicate: _deduplicate,
    n.Sort: _sort,
    n.Join: translate_joins.regular,
    n.IntervalJoin: translate_joins.interval,
    n.WindowJoin: translate_joins.window,
    n.TemporalJoin: translate_joins.temporal,
}

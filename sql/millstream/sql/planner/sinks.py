"""The end of an INSERT: columns as the table has them, changes as its connector takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from millstream.core.elements.batch import RowKind
from millstream.core.graph.specs import SinkSpec
from millstream.core.graph.stream_graph import Exchange
from millstream.core.table import logical_types as lt
from millstream.core.table import specs as s
from millstream.core.table.connectors import INSERT_ONLY, ChangelogMode
from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.functions.coercion import common_type
from millstream.core.table.functions.registry import implicit_cast
from millstream.core.table.logical_types import LogicalType
from millstream.core.table.row_type import Column, RowType
from millstream.sql.binder.columns import project
from millstream.sql.binder.literals import null_literal
from millstream.sql.errors import did_you_mean, query_error
from millstream.sql.plan import nodes as n
from millstream.sql.plan.properties import unique_keys
from millstream.sql.planner.physical import PhysicalEdge, PhysicalOperator, kinds_of
from millstream.sql.planner.tables import SinkTable
from millstream.sql.planner.translate import Translator

_INSERTS: Final = INSERT_ONLY


def fitted(
    node: n.Node, table: SinkTable, columns: Sequence[str], constants: Mapping[str, Expression] | None = None
) -> n.Node:
    """``node`` with the columns of ``table``; ``columns``: those the statement names, else all in order.

    ``constants``: columns of a static partition. Raises ``QueryError`` that names the column and both types.
    """
    wanted = table.row
    fixed = dict(constants or {})
    named = list(columns) or [name for name in wanted.names if name not in fixed]
    for name in [*named, *fixed]:
        if wanted.index_of(name) is None:
            near = did_you_mean(name, wanted.names)
            raise query_error(f"the table {table.name} has no column {name!r} to write.{near}")
    if len(node.row) != len(named):
        raise query_error(
            f"the query has {len(node.row)} columns ({', '.join(map(str, node.row.columns))}), but {table.name} takes "
            f"{len(named)} ({', '.join(str(wanted[_at(wanted, name)]) for name in named)})"
        )
    sources = {name: index for index, name in enumerate(named)}
    expressions: list[Expression] = []
    for column in wanted.columns:
        if column.name in fixed:
            value = fixed[column.name]
            expressions.append(_converted(value, Column(column.name, value.type), column, table))
        elif column.name in sources:
            index = sources[column.name]
            given = node.row[index]
            expressions.append(_converted(InputRef(given.type, index), given, column, table))
        elif not column.type.nullable:
            raise query_error(f"column {column.name!r} of {table.name} is NOT NULL and gets no value")
        else:
            expressions.append(null_literal(column.type))
    if (
        all(isinstance(e, InputRef) and e.index == i for i, e in enumerate(expressions))
        and node.row.names == wanted.names
    ):
        return node
    return project(node, expressions, wanted.names)


def _converted(value: Expression, given: Column, wanted: Column, table: SinkTable) -> Expression:
    if given.type.same_kind(wanted.type):
        return value
    if not _fits(given.type, wanted.type):
        raise query_error(
            f"column {wanted.name!r} of {table.name} is {wanted.type.text()}, but the query gives {given.type.text()} "
            f"({given.name}). Write CAST({given.name} AS {wanted.type.text()})."
        )
    return implicit_cast(value, wanted.type.with_nullable(given.type.nullable))


def _fits(given: LogicalType, wanted: LogicalType) -> bool:
    """Whether a column may be written without a CAST: no value changes but for digits that the column cannot hold."""
    for family in (lt.TEXT, lt.BYTES_ROOTS, (lt.TypeRoot.DECIMAL,), lt.TIMESTAMPS):
        if given.root in family and wanted.root in family:
            return True
    common = common_type([given, wanted])
    return common is not None and (common.root is wanted.root or given.root is lt.TypeRoot.NULL)


def _at(row: RowType, name: str) -> int:
    index = row.index_of(name)
    assert index is not None
    return index


def sink(translator: Translator, node: n.Node, table: SinkTable) -> PhysicalOperator:
    """The sink operator that writes ``node`` (already fitted) to ``table``. Raises ``QueryError`` for changes that the
    connector does not take."""
    produced = _produced(translator, node)
    accepted = table.connector.accepted_changelog(table.description, produced)
    refused = produced - accepted - {RowKind.UPDATE_BEFORE}
    if refused:
        kinds = ", ".join(sorted(_NAMES[kind] for kind in refused))
        raise query_error(
            f"the table {table.name} (connector {table.connector.identifier!r}) takes inserts only, but the query also "
            f"{kinds} rows: {_culprit(translator, node)}. Write to a table with a primary key whose connector takes "
            f"changes, or make the query append-only, for instance with a window."
        )
    needs_before = RowKind.UPDATE_BEFORE in accepted and RowKind.UPDATE_BEFORE in produced
    key = tuple(_at(table.row, name) for name in table.description.primary_key) if len(produced) > 1 else ()
    materializes = bool(key) and not needs_before and _needs_last_of_key(translator, node, key)
    edges = _checked(translator, node, table, before=needs_before or materializes)
    if key:
        edges = [PhysicalEdge(edge.source, Exchange.HASH, key) for edge in edges]
    if materializes:
        edges = [PhysicalEdge(_last_of_key(translator, table, edges, key))]
    spec = SinkSpec(table.connector.sink(table.description, accepted))
    parallelism = table.connector.sink_parallelism(table.description)
    written = PhysicalOperator(f"Sink: {table.name}", spec, table.row, tuple(edges), parallelism)
    written.changes = kinds_of(edge.source for edge in edges)
    written.identity = f"sink of {table.name}"
    return written


def _produced(translator: Translator, node: n.Node) -> ChangelogMode:
    found = translator.changelog(node)
    if found.append_only:
        return _INSERTS
    kinds = {RowKind.INSERT}
    if found.updates:
        kinds |= {RowKind.UPDATE_BEFORE, RowKind.UPDATE_AFTER}
    if found.deletes:
        kinds.add(RowKind.DELETE)
    return frozenset(kinds)


_NAMES: Final = {
    RowKind.INSERT: "inserts",
    RowKind.UPDATE_BEFORE: "updates",
    RowKind.UPDATE_AFTER: "updates",
    RowKind.DELETE: "deletes",
}


def _culprit(translator: Translator, node: n.Node) -> str:
    """The first relation below which everything is append-only."""
    for child in node.inputs:
        if not translator.changelog(child).append_only:
            return _culprit(translator, child)
    return f"they come from {type(node).__name__} of ({', '.join(node.row.names)})"


def _checked(translator: Translator, node: n.Node, table: SinkTable, *, before: bool) -> list[PhysicalEdge]:
    """The rows of ``node``, checked for NULL in columns that must not be NULL and may be."""
    edges = [PhysicalEdge(part) for part in translator.parts(node, before=before)]
    columns = tuple(
        index
        for index, column in enumerate(table.row.columns)
        if not column.type.nullable and node.row[index].type.nullable
    )
    if not columns:
        return edges
    spec = s.NotNullSpec(node.row, node.row, columns, translator.settings.drop_nulls, table.name)
    operator = PhysicalOperator("NotNullEnforcer", spec, node.row, tuple(edges))
    operator.changes = kinds_of(edge.source for edge in edges)
    return [PhysicalEdge(operator)]


def _needs_last_of_key(translator: Translator, node: n.Node, key: tuple[int, ...]) -> bool:
    """Whether several rows of the query may have one key of the table, so that the last of them wins."""
    mode = translator.settings.upsert_materialize
    known = any(unique <= set(key) for unique in unique_keys(node))
    return mode != "NONE" and not (mode == "AUTO" and known)


def _last_of_key(
    translator: Translator, table: SinkTable, edges: list[PhysicalEdge], key: tuple[int, ...]
) -> PhysicalOperator:
    """The last row of each key of the table, of rows that come by key."""
    spec = s.UpsertMaterializeSpec(table.row, table.row, key, translator.settings.state_ttl_ms)
    operator = PhysicalOperator("SinkUpsertMaterializer", spec, table.row, tuple(edges))
    operator.changes = "I,UA,D"
    operator.identity = f"upserts of {table.name}"
    return operator

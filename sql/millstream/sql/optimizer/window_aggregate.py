"""An aggregate whose keys hold window_start and window_end becomes a window aggregate.

Where the window table function stands right below, but for projections and filters, it is taken in: rows are then
counted into slices that overlapping windows share, instead of being copied into each window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Expression, InputRef, input_refs, shifted
from millstream.core.table.row_type import Column, RowType, TimeAttribute
from millstream.core.table.specs import WindowKind
from millstream.sql.binder.columns import row_of
from millstream.sql.errors import query_error
from millstream.sql.plan import nodes as n
from millstream.sql.plan.properties import WindowColumns, window_columns

START, END, TIME = "window_start", "window_end", "window_time"
PROPERTIES: Final = (START, END, TIME)


def recognise_window_aggregate(node: n.Node) -> n.Node:
    """The plan with window aggregates. Raises ``QueryError`` for a session window that nothing aggregates."""
    changed = n.transform(node, _recognise)
    _refuse_loose_sessions(changed)
    return changed


def _recognise(node: n.Node) -> n.Node:
    if not isinstance(node, n.Aggregate):
        return node
    windows = window_columns(node.input)
    if (
        windows is None
        or not any(k in windows.starts for k in node.keys)
        or not any(k in windows.ends for k in node.keys)
    ):
        return node
    stripped = _strip(node.input)
    if stripped is not None:
        return _taken_in(node, windows, stripped)
    if windows.window.kind is WindowKind.SESSION and not isinstance(_source_of_windows(node.input), n.WindowAggregate):
        raise query_error("the rows of SESSION must be aggregated by its window before anything else is done with them")
    return _attached(node, windows)


# -- taking the table function in ----------------------------------------------------------------------------------


@dataclass
class _Stripped:
    """A relation without its window columns."""

    node: n.Node
    places: dict[int, int | str]
    """By old column: the new one, or which window column it was."""
    table: n.WindowTable
    time: int
    """The time of the table function, among the new columns."""


def _strip(node: n.Node) -> _Stripped | None:
    match node:
        case n.WindowTable():
            width = len(node.input.row)
            places: dict[int, int | str] = {i: i for i in range(width)}
            places.update({width + i: name for i, name in enumerate(PROPERTIES)})
            return _Stripped(node.input, places, node, node.time)
        case n.Filter():
            inner = _strip(node.input)
            if inner is None or any(isinstance(inner.places[i], str) for i in input_refs(node.condition)):
                return None
            condition = shifted(node.condition, _mover(inner))
            return replace(inner, node=n.Filter(inner.node.row, inner.node, condition))
        case n.Project():
            return _strip_project(node)
    return None


def _strip_project(node: n.Project) -> _Stripped | None:
    inner = _strip(node.input)
    if inner is None:
        return None
    expressions: list[Expression] = []
    columns: list[Column] = []
    places: dict[int, int | str] = {}
    for position, expression in enumerate(node.expressions):
        if isinstance(expression, InputRef) and isinstance(place := inner.places[expression.index], str):
            places[position] = place
            continue
        if any(isinstance(inner.places[i], str) for i in input_refs(expression)):
            return None
        places[position] = len(expressions)
        expressions.append(shifted(expression, _mover(inner)))
        columns.append(node.row[position])
    time_column = inner.node.row[inner.time]
    time = InputRef(time_column.type, inner.time)
    if time not in expressions:
        expressions.append(time)
        columns.append(time_column)
    project = n.Project(row_of(columns), inner.node, tuple(expressions))
    return replace(inner, node=project, places=places, time=expressions.index(time))


def _mover(inner: _Stripped) -> Callable[[int], int]:
    def move(index: int) -> int:
        place = inner.places[index]
        assert isinstance(place, int)
        return place

    return move


def _taken_in(node: n.Aggregate, windows: WindowColumns, stripped: _Stripped) -> n.Node:
    table = stripped.table
    keys: list[int] = []
    wanted: list[str] = []
    outputs: list[int | str] = []
    for key in node.keys:
        place = stripped.places[key]
        outputs.append(place)
        if isinstance(place, str):
            wanted.append(place)
        elif place not in keys:
            keys.append(place)
    if table.window.kind is WindowKind.SESSION:
        _check_partition(table, stripped, keys)
    if any(isinstance(stripped.places[i], str) for call in node.calls for i in _columns_of(call)):
        return _attached(node, windows)
    move = _mover(stripped)
    calls = tuple(
        replace(
            call,
            arguments=tuple(move(i) for i in call.arguments),
            filter=None if call.filter is None else move(call.filter),
        )
        for call in node.calls
    )
    properties = tuple(name for name in PROPERTIES if name in wanted)
    width = len(table.input.row)
    kinds = {name: table.row[width + i] for i, name in enumerate(PROPERTIES)}
    return _assembled(node, stripped.node, keys, calls, table, stripped.time, properties, kinds, outputs, None)


def _columns_of(call: AggregateCall) -> tuple[int, ...]:
    return call.arguments if call.filter is None else (*call.arguments, call.filter)


def _check_partition(table: n.WindowTable, stripped: _Stripped, keys: list[int]) -> None:
    partition = {stripped.places.get(old) for old in stripped.places if _origin(stripped, old) in table.partition}
    if len(table.partition) != len(keys) or not all(key in partition for key in keys):
        raise query_error(
            "the aggregate of a session window must have the keys of its PARTITION BY, and no others, beside the window"
        )


def _origin(stripped: _Stripped, column: int) -> int | None:
    """The column of the table function's input that a column of the aggregate's input is."""
    place = stripped.places[column]
    node: n.Node = stripped.node
    if not isinstance(place, int):
        return None
    while node is not stripped.table.input:
        if isinstance(node, n.Project):
            expression = node.expressions[place]
            if not isinstance(expression, InputRef):
                return None
            place = expression.index
        node = node.inputs[0]
    return place


# -- windows that stay attached ------------------------------------------------------------------------------------


def _attached(node: n.Aggregate, windows: WindowColumns) -> n.Node:
    start = next(key for key in node.keys if key in windows.starts)
    end = next(key for key in node.keys if key in windows.ends)
    outputs: list[int | str] = []
    keys: list[int] = []
    wanted: list[str] = []
    for key in node.keys:
        name = START if key in windows.starts else END if key in windows.ends else TIME if key in windows.times else ""
        outputs.append(name or key)
        if name:
            wanted.append(name)
        elif key not in keys:
            keys.append(key)
    properties = tuple(name for name in PROPERTIES if name in wanted)
    row = node.input.row
    time = row[min(windows.times)] if windows.times else row[end]
    kinds = {START: row[start], END: row[end], TIME: time}
    table = n.WindowTable(row, node.input, windows.window, end)
    return _assembled(node, node.input, keys, node.calls, table, end, properties, kinds, outputs, start)


def _assembled(
    node: n.Aggregate,
    source: n.Node,
    keys: list[int],
    calls: tuple[AggregateCall, ...],
    table: n.WindowTable,
    time: int,
    properties: tuple[str, ...],
    kinds: dict[str, Column],
    outputs: list[int | str],
    attached_start: int | None,
) -> n.Node:
    """The window aggregate, and the projection that gives its columns the order of the aggregate's."""
    columns = [source.row[key] for key in keys]
    columns += list(node.row.columns[len(node.keys) :])
    for name in properties:
        column = kinds[name].renamed(name)
        columns.append(column if name == TIME else replace(column, time=TimeAttribute.NONE))
    row = row_of(columns)
    aggregate = n.WindowAggregate(row, source, tuple(keys), calls, table.window, time, properties, attached_start)
    first_property = len(keys) + len(node.calls)
    refs: list[InputRef] = []
    for output in outputs:
        position = keys.index(output) if isinstance(output, int) else first_property + properties.index(output)
        refs.append(InputRef(row[position].type, position))
    for i in range(len(node.calls)):
        position = len(keys) + i
        refs.append(InputRef(row[position].type, position))
    result = tuple(row[ref.index].renamed(column.name) for ref, column in zip(refs, node.row.columns, strict=True))
    return n.Project(RowType(result), aggregate, tuple(refs))


def _source_of_windows(node: n.Node) -> n.Node:
    while not isinstance(node, n.WindowTable | n.WindowAggregate) and node.inputs:
        node = node.inputs[0]
    return node


def _refuse_loose_sessions(node: n.Node) -> None:
    if isinstance(node, n.WindowTable) and node.window.kind is WindowKind.SESSION:
        raise query_error("the rows of SESSION must be aggregated by its window before anything else is done with them")
    for child in node.inputs:
        _refuse_loose_sessions(child)

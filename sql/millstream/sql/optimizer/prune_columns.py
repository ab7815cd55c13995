"""Leaves out columns that nobody reads, down to the fields of rows: sources decode only what is left.

What is wanted of a relation is a set of *paths*: a column, perhaps with fields inside of it. Each relation answers with
one that may have fewer columns, and where each wanted path is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Call, Expression, InputRef, Literal, walk
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import JoinKind, SortKey
from millstream.sql.binder.columns import appended, row_of
from millstream.sql.plan import nodes as n
from millstream.sql.plan.conditions import conjuncts
from millstream.sql.plan.properties import smallest, time_columns, unique_keys

Path = tuple[int, ...]
"""A column, then positions of fields."""
Pruned = tuple[n.Node, dict[Path, int]]


def prune_columns(node: n.Node) -> n.Node:
    """The plan with the same columns at its top and fewer below."""
    wanted: set[Path] = {(i,) for i in range(len(node.row))}
    pruned, places = _prune(node, wanted)
    refs = tuple(InputRef(column.type, places[(i,)]) for i, column in enumerate(node.row.columns))
    if len(pruned.row) == len(node.row) and all(ref.index == i for i, ref in enumerate(refs)):
        return pruned
    return n.Project(node.row, pruned, refs)


def paths_of(expression: Expression) -> set[Path]:
    """What an expression reads."""
    path = _path(expression)
    if path is not None:
        return {path}
    return {found for child in expression.children for found in paths_of(child)}


def _path(expression: Expression) -> Path | None:
    if isinstance(expression, InputRef):
        return (expression.index,)
    if isinstance(expression, Call) and expression.name == "FIELD":
        inner = _path(expression.arguments[0])
        place = expression.arguments[1]
        if inner is not None and isinstance(place, Literal):
            return (*inner, place.value)
    return None


def _normal(paths: Iterable[Path]) -> set[Path]:
    """Without paths into what is wanted as a whole."""
    found = set(paths)
    return {path for path in found if not any(path[:length] in found for length in range(1, len(path)))}


def _moved(expression: Expression, places: dict[Path, int]) -> Expression:
    """The same over the pruned relation."""
    path = _path(expression)
    if path is not None and path in places:
        return InputRef(expression.type, places[path])
    children = expression.children
    if isinstance(expression, InputRef):
        return replace(expression, index=places[(expression.index,)])
    changed = tuple(_moved(child, places) for child in children)
    return expression.with_children(changed) if changed != children else expression


def _columns(paths: Iterable[Path]) -> set[int]:
    return {path[0] for path in paths}


def _whole(columns: Iterable[int]) -> set[Path]:
    return {(column,) for column in columns}


def _prune(node: n.Node, wanted: set[Path]) -> Pruned:
    handler = _HANDLERS.get(type(node))
    if handler is not None:
        return handler(node, _normal(wanted))
    inputs = [prune_columns(child) for child in node.inputs]
    kept = node.with_inputs(tuple(inputs)) if inputs else node
    return kept, {(i,): i for i in range(len(node.row))}


def _project(node: n.Project, wanted: set[Path]) -> Pruned:
    chosen = sorted(_some(wanted, node.row))
    below: set[Path] = set()
    expressions: list[Expression] = []
    columns: list[Column] = []
    for path in chosen:
        expression = node.expressions[path[0]]
        name = node.row[path[0]].name
        for place in path[1:]:
            field_name, kind = expression.type.fields[place]
            literal = Literal(_INT, place)
            nullable = kind.nullable or expression.type.nullable
            expression = Call(kind.with_nullable(nullable), "FIELD", (expression, literal))
            name = f"{name}.{field_name}"
        below |= paths_of(expression)
        expressions.append(expression)
        column = node.row[path[0]] if len(path) == 1 else Column(name, expression.type)
        columns.append(column)
    inner, places = _prune(node.input, below)
    row = row_of(columns)
    moved = tuple(_moved(expression, places) for expression in expressions)
    return n.Project(row, inner, moved), {path: i for i, path in enumerate(chosen)}


def _filter(node: n.Filter, wanted: set[Path]) -> Pruned:
    inner, places = _prune(node.input, wanted | paths_of(node.condition))
    return n.Filter(inner.row, inner, _moved(node.condition, places)), places


def _watermark(node: n.WatermarkAssigner, wanted: set[Path]) -> Pruned:
    inner, places = _prune(node.input, wanted | {(node.rowtime,)} | paths_of(node.expression))
    rowtime = places[(node.rowtime,)]
    columns = [
        replace(c, time=node.row[node.rowtime].time) if i == rowtime else c for i, c in enumerate(inner.row.columns)
    ]
    expression = _moved(node.expression, places)
    return n.WatermarkAssigner(RowType(tuple(columns)), inner, rowtime, expression), places


def _scan(node: n.Scan, wanted: set[Path]) -> Pruned:
    """Fields of rows become columns of their own: all connectors read them alone, by dotted paths."""
    chosen = sorted(_some(wanted, node.row))
    columns: list[Column] = []
    names: list[str] = []
    for path in chosen:
        column = node.row[path[0]]
        kind, name = column.type, node.projection[path[0]]
        for place in path[1:]:
            field_name, field = kind.fields[place]
            kind, name = field.with_nullable(field.nullable or kind.nullable), f"{name}.{field_name}"
        columns.append(column if len(path) == 1 else Column(name, kind))
        names.append(name)
    places = {path: i for i, path in enumerate(chosen)}
    return replace(node, row=row_of(columns), projection=tuple(names)), places


def _some(wanted: set[Path], row: RowType) -> set[Path]:
    """What is wanted, and where that is nothing some column: rows are counted by their columns."""
    return wanted or {(_cheapest(row),)}


def _cheapest(row: RowType) -> int:
    sizes = [(len(column.type.fields) + 8 * bool(column.type.element), i) for i, column in enumerate(row.columns)]
    return min(sizes)[1]


def _values(node: n.Values, wanted: set[Path]) -> Pruned:
    chosen = sorted(_columns(_some(wanted, node.row)))
    rows = tuple(tuple(line[i] for i in chosen) for line in node.rows)
    return n.Values(node.row.select(chosen), rows), {(old,): new for new, old in enumerate(chosen)}


def _call_moved(call: AggregateCall, places: dict[Path, int]) -> AggregateCall:
    arguments = tuple(places[(i,)] for i in call.arguments)
    return replace(call, arguments=arguments, filter=None if call.filter is None else places[(call.filter,)])


def _call_columns(calls: Iterable[AggregateCall]) -> set[int]:
    found = {i for call in calls for i in call.arguments}
    return found | {call.filter for call in calls if call.filter is not None}


def _aggregate(node: n.Aggregate, wanted: set[Path]) -> Pruned:
    """Keys stay, for they say which groups there are; calls that nobody reads go."""
    width = len(node.keys)
    read = _columns(wanted if node.keys else _some(wanted, node.row))
    kept = [i for i in range(len(node.calls)) if width + i in read]
    calls = [node.calls[i] for i in kept]
    inner, places = _prune(node.input, _whole({*node.keys, *_call_columns(calls)}))
    row = node.row.select([*range(width), *(width + i for i in kept)])
    keys = tuple(places[(key,)] for key in node.keys)
    pruned = n.Aggregate(row, inner, keys, tuple(_call_moved(call, places) for call in calls), node.ttl_ms)
    found: dict[Path, int] = {(i,): i for i in range(width)}
    found.update({(width + old,): width + new for new, old in enumerate(kept)})
    return pruned, found


def _window_aggregate(node: n.WindowAggregate, wanted: set[Path]) -> Pruned:
    width, count = len(node.keys), len(node.calls)
    read = _columns(wanted if node.keys else _some(wanted, node.row))
    kept = [i for i in range(count) if width + i in read]
    calls = [node.calls[i] for i in kept]
    properties = [i for i in range(len(node.properties)) if width + count + i in read]
    attached = () if node.attached_start is None else (node.attached_start,)
    inner, places = _prune(node.input, _whole({*node.keys, *_call_columns(calls), node.time, *attached}))
    chosen = [*range(width), *(width + i for i in kept), *(width + count + i for i in properties)]
    pruned = replace(
        node,
        row=node.row.select(chosen),
        input=inner,
        keys=tuple(places[(key,)] for key in node.keys),
        calls=tuple(_call_moved(call, places) for call in calls),
        time=places[(node.time,)],
        properties=tuple(node.properties[i] for i in properties),
        attached_start=None if node.attached_start is None else places[(node.attached_start,)],
    )
    return pruned, {(old,): new for new, old in enumerate(chosen)}


def _window_table(node: n.WindowTable, wanted: set[Path]) -> Pruned:
    width = len(node.input.row)
    below = {path for path in wanted if path[0] < width} | _whole({node.time, *node.partition})
    inner, places = _prune(node.input, below)
    row = appended(inner.row, node.row.columns[width:])
    pruned = replace(
        node,
        row=row,
        input=inner,
        time=places[(node.time,)],
        partition=tuple(places[(i,)] for i in node.partition),
    )
    found = dict(places)
    found.update({(width + i,): len(inner.row) + i for i in range(3)})
    return pruned, found


def _sort_keys(keys: tuple[SortKey, ...], places: dict[Path, int]) -> tuple[SortKey, ...]:
    return tuple(replace(key, column=places[(key.column,)]) for key in keys)


def _over(node: n.Over, wanted: set[Path]) -> Pruned:
    width = len(node.input.row)
    read = _columns(wanted)
    kept = [i for i in range(len(node.calls)) if width + i in read]
    calls = [node.calls[i] for i in kept]
    below = _whole({i for i in read if i < width} | {*node.partition, *(k.column for k in node.order)})
    below |= _whole(_call_columns(calls))
    inner, places = _prune(node.input, below)
    if not calls:
        return inner, places
    row = RowType((*inner.row.columns, *(node.row[width + i] for i in kept)))
    pruned = replace(
        node,
        row=row,
        input=inner,
        partition=tuple(places[(i,)] for i in node.partition),
        order=_sort_keys(node.order, places),
        calls=tuple(_call_moved(call, places) for call in calls),
    )
    found = dict(places)
    found.update({(width + old,): len(inner.row) + new for new, old in enumerate(kept)})
    return pruned, found


def _rank(node: n.Rank, wanted: set[Path]) -> Pruned:
    width = len(node.input.row)
    read = _columns(wanted)
    with_rank = node.with_rank and width in read
    window = () if node.window is None else node.window
    below = {i for i in read if i < width} | {*node.partition, *(key.column for key in node.order), *window}
    inner, places = _prune(node.input, _whole(below))
    row = RowType((*inner.row.columns, *((node.row[width],) if with_rank else ())))
    pruned = replace(
        node,
        row=row,
        input=inner,
        partition=tuple(places[(i,)] for i in node.partition),
        order=_sort_keys(node.order, places),
        with_rank=with_rank,
        window=None if node.window is None else (places[(node.window[0],)], places[(node.window[1],)]),
    )
    found = dict(places)
    if with_rank:
        found[(width,)] = len(inner.row)
    return pruned, found


def _deduplicate(node: n.Deduplicate, wanted: set[Path]) -> Pruned:
    below = _whole(_columns(wanted) | {*node.keys, node.order})
    inner, places = _prune(node.input, below)
    keys = tuple(places[(i,)] for i in node.keys)
    return n.Deduplicate(inner.row, inner, keys, places[(node.order,)], node.keep_last), places


def _sort(node: n.Sort, wanted: set[Path]) -> Pruned:
    inner, places = _prune(node.input, _whole(_columns(wanted) | {key.column for key in node.order}))
    return replace(node, row=inner.row, input=inner, order=_sort_keys(node.order, places)), places


def _union(node: n.Union, wanted: set[Path]) -> Pruned:
    chosen = sorted(_columns(_some(wanted, node.row)))
    row = node.row.select(chosen)
    parts = []
    for part in node.parts:
        pruned, places = _prune(part, _whole(chosen))
        refs = tuple(InputRef(part.row[i].type, places[(i,)]) for i in chosen)
        columns = tuple(
            replace(column, type=part.row[i].type, time=part.row[i].time)
            for column, i in zip(row.columns, chosen, strict=True)
        )
        parts.append(n.Project(RowType(columns), pruned, refs))
    return n.Union(row, tuple(parts)), {(old,): new for new, old in enumerate(chosen)}


def _expand(node: n.Expand, wanted: set[Path]) -> Pruned:
    chosen = sorted(_columns(_some(wanted, node.row)))
    below: set[Path] = set()
    for projection in node.projections:
        for i in chosen:
            below |= paths_of(projection[i])
    inner, places = _prune(node.input, below)
    projections = tuple(tuple(_moved(projection[i], places) for i in chosen) for projection in node.projections)
    pruned = n.Expand(node.row.select(chosen), inner, projections)
    return pruned, {(old,): new for new, old in enumerate(chosen)}


def _correlate(node: n.Correlate, wanted: set[Path]) -> Pruned:
    """All columns of the function stay; those of the input are pruned."""
    width = len(node.input.row)
    below = {path for path in wanted if path[0] < width}
    for argument in node.arguments:
        below |= paths_of(argument)
    inner, places = _prune(node.input, below)
    row = appended(inner.row, node.row.columns[width:])
    arguments = tuple(_moved(argument, places) for argument in node.arguments)
    found = dict(places)
    found.update({(i,): len(inner.row) + i - width for i in range(width, len(node.row))})
    return replace(node, row=row, input=inner, arguments=arguments), found


_AnyJoin = n.Join | n.IntervalJoin | n.WindowJoin | n.TemporalJoin


def _join(node: _AnyJoin, wanted: set[Path]) -> Pruned:
    width = len(node.left.row)
    read = _columns(wanted)
    for part in conjuncts(node.condition):
        read |= {ref.index for ref in walk(part) if isinstance(ref, InputRef)}
    left_read, right_read = {i for i in read if i < width}, {i - width for i in read if i >= width}
    match node:
        case n.IntervalJoin():
            left_read.add(node.left_time)
            right_read.add(node.right_time)
        case n.WindowJoin():
            left_read |= set(node.left_window)
            right_read |= set(node.right_window)
        case n.TemporalJoin():
            left_read.add(node.left_time)
            right_read |= _version_columns(node.right)
    left, left_places = _prune(node.left, _whole(left_read))
    right, right_places = _prune(node.right, _whole(right_read))
    places = dict(left_places)
    places.update({(path[0] + width, *path[1:]): at + len(left.row) for path, at in right_places.items()})
    semi = node.join in (JoinKind.SEMI, JoinKind.ANTI)
    row = left.row if semi else _joined_row(node, left, right, left_places, right_places)
    condition = None if node.condition is None else _moved(node.condition, places)
    changes: dict[str, object] = {"row": row, "left": left, "right": right, "condition": condition}
    match node:
        case n.IntervalJoin():
            changes["left_time"] = left_places[(node.left_time,)]
            changes["right_time"] = right_places[(node.right_time,)]
        case n.WindowJoin():
            changes["left_window"] = tuple(left_places[(i,)] for i in node.left_window)
            changes["right_window"] = tuple(right_places[(i,)] for i in node.right_window)
        case n.TemporalJoin():
            changes["left_time"] = left_places[(node.left_time,)]
    return replace(node, **changes), (left_places if semi else places)  # type: ignore[arg-type]


def _version_columns(node: n.Node) -> set[int]:
    """The time attributes of a relation: a versioned table is read by them, and by its key."""
    keys = unique_keys(node)
    return set(time_columns(node)) | (set(smallest(keys)) if keys else set())


def _joined_row(
    node: _AnyJoin, left: n.Node, right: n.Node, left_places: dict[Path, int], right_places: dict[Path, int]
) -> RowType:
    """The columns of both, nullable where the join makes them so."""
    width = len(node.left.row)
    columns = [*left.row.columns, *right.row.columns]
    for path, at in left_places.items():
        if len(path) == 1:
            columns[at] = node.row[path[0]]
    for path, at in right_places.items():
        if len(path) == 1:
            columns[len(left.row) + at] = node.row[width + path[0]]
    return row_of(columns)


_INT: Final = lt.INT.with_nullable(False)
_HANDLERS: dict[type, Callable[..., Pruned]] = {
    n.Project: _project,
    n.Filter: _filter,
    n.WatermarkAssigner: _watermark,
    n.Scan: _scan,
    n.Values: _values,
    n.Aggregate: _aggregate,
    n.WindowAggregate: _window_aggregate,
    n.WindowTable: _window_table,
    n.Over: _over,
    n.Rank: _rank,
    n.Deduplicate: _deduplicate,
    n.Sort: _sort,
    n.Union: _union,
    n.Expand: _expand,
    n.Correlate: _correlate,
    n.Join: _join,
    n.IntervalJoin: _join,
    n.WindowJoin: _join,
    n.TemporalJoin: _join,
}

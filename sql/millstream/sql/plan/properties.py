"""What is known of the rows of a relation without running it: what changes it sends, which columns identify a row,
which are event time, which say the window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.row_type import TimeAttribute
from millstream.core.table.specs import JoinKind, Window
from millstream.sql.plan import nodes as n
from millstream.sql.plan.conditions import conjuncts

_CACHED = 4096


@dataclass(frozen=True)
class Changelog:
    """Which changes a relation sends besides inserts."""

    updates: bool = False
    deletes: bool = False

    @property
    def append_only(self) -> bool:
        return not self.updates and not self.deletes

    def __str__(self) -> str:
        kinds = ["I"] + (["UB", "UA"] if self.updates else [])
        return ",".join(kinds + (["D"] if self.deletes else []))


APPEND = Changelog()
RETRACT = Changelog(updates=True, deletes=True)


@lru_cache(_CACHED)
def changelog(node: n.Node) -> Changelog:
    """The changes that the relation sends, before anyone leaves out what was before an update."""
    match node:
        case n.Scan():
            found: Changelog = node.table.changelog
            return found
        case n.StreamScan():
            return RETRACT if node.changelog else APPEND
        case n.Values() | n.WindowAggregate():
            return APPEND
        case n.Aggregate():
            inner = changelog(node.input)
            if not node.calls and not node.keys:
                return APPEND
            return Changelog(updates=bool(node.calls), deletes=inner.deletes or inner.updates)
        case n.Filter():
            inner = changelog(node.input)
            return Changelog(deletes=True) if inner.updates else inner
        case n.Rank():
            return APPEND if node.window is not None else RETRACT
        case n.Deduplicate():
            return Changelog(updates=True) if node.keep_last or not _in_order(node) else APPEND
        case n.Join():
            return _join_changelog(node)
        case n.IntervalJoin() | n.WindowJoin():
            return APPEND
        case n.TemporalJoin():
            return changelog(node.left)
        case n.SetOperation():
            return RETRACT
        case n.Replicate():
            return Changelog(deletes=not changelog(node.input).append_only)
        case n.Over():
            return APPEND if over_in_order(node) else RETRACT
        case n.Sort():
            if node.fetch is not None or node.offset:
                kept = not node.order and changelog(node.input).append_only
                return APPEND if kept else RETRACT
            return changelog(node.input)
        case n.Union():
            parts = [changelog(part) for part in node.parts]
            return Changelog(any(p.updates for p in parts), any(p.deletes for p in parts))
    return changelog(node.inputs[0])


@lru_cache(_CACHED)
def batch_changelog(node: n.Node) -> Changelog:
    """The same in batch mode, where whatever may change its mind emits once, when its input has ended."""
    match node:
        case n.Scan() | n.StreamScan():
            return changelog(node)
        case n.Project() | n.Expand() | n.Correlate() | n.WindowTable() | n.WatermarkAssigner():
            return batch_changelog(node.input)
        case n.Filter() | n.Replicate():
            inner = batch_changelog(node.input)
            return inner if inner.append_only else Changelog(deletes=True)
        case n.TemporalJoin():
            return batch_changelog(node.left)
        case n.Union():
            parts = [batch_changelog(part) for part in node.parts]
            return Changelog(any(p.updates for p in parts), any(p.deletes for p in parts))
    return APPEND


_NEEDS_WHAT_FOLLOWS = ("LEAD", "NTILE", "PERCENT_RANK", "CUME_DIST")


def over_in_order(node: n.Over) -> bool:
    """Whether rows come in the order of OVER, and later ones change nothing in the results of earlier ones."""
    return (
        changelog(node.input).append_only
        and len(node.order) == 1
        and node.order[0].ascending
        and node.order[0].column in time_columns(node.input)
        and node.following == 0
        and (node.preceding is None or node.preceding >= 0)
        and not any(call.function is None and call.name in _NEEDS_WHAT_FOLLOWS for call in node.calls)
    )


def is_time_sort(node: n.Sort) -> bool:
    """Whether ORDER BY begins with a time attribute, ascending."""
    first = node.order[0] if node.order else None
    return first is not None and first.ascending and first.column in time_columns(node.input)


def _in_order(node: n.Deduplicate) -> bool:
    """First rows by processing time never change; by event time a late one may come before."""
    return time_columns(node.input).get(node.order) is TimeAttribute.PROCTIME


def _join_changelog(node: n.Join) -> Changelog:
    left, right = changelog(node.left), changelog(node.right)
    if node.join is JoinKind.INNER or node.join is JoinKind.SEMI:
        both = Changelog(left.updates or right.updates, left.deletes or right.deletes)
        if node.join is JoinKind.SEMI and not right.append_only:
            return Changelog(both.updates, True)
        return both
    return Changelog(left.updates or right.updates, True)


@lru_cache(_CACHED)
def unique_keys(node: n.Node) -> frozenset[frozenset[int]]:
    """Sets of columns that no two rows have the same values of."""
    match node:
        case n.Scan():
            key = node.table.primary_key_of(node.projection)
            return frozenset() if key is None else frozenset([frozenset(key)])
        case n.Project():
            return _projected_keys(node)
        case n.Filter() | n.WatermarkAssigner() | n.Sort():
            return unique_keys(node.inputs[0])
        case n.Aggregate():
            return frozenset([frozenset(range(len(node.keys)))])
        case n.WindowAggregate():
            start = len(node.keys) + len(node.calls)
            windows = [start + i for i, name in enumerate(node.properties) if name in ("window_start", "window_end")]
            return frozenset(frozenset([*range(len(node.keys)), position]) for position in windows)
        case n.Deduplicate():
            return frozenset([frozenset(node.keys)])
        case n.Rank():
            keys = set(unique_keys(node.input))
            if node.function == "ROW_NUMBER":
                if node.first == node.last:
                    keys.add(frozenset(node.partition))
                elif node.with_rank:
                    keys.add(frozenset([*node.partition, len(node.row) - 1]))
            return frozenset(keys)
        case n.Join() | n.IntervalJoin() | n.WindowJoin() | n.TemporalJoin():
            return _join_keys(node)
        case n.Over():
            return unique_keys(node.input)
    return frozenset()


def smallest(keys: frozenset[frozenset[int]]) -> frozenset[int]:
    """The key of the fewest columns, the first of several."""
    return min(keys, key=lambda key: (len(key), sorted(key)))


def _projected_keys(node: n.Project) -> frozenset[frozenset[int]]:
    places: dict[int, int] = {}
    for position, expression in enumerate(node.expressions):
        if isinstance(expression, InputRef):
            places.setdefault(expression.index, position)
    return frozenset(
        frozenset(places[column] for column in key)
        for key in unique_keys(node.input)
        if all(column in places for column in key)
    )


def _join_keys(node: n.Join | n.IntervalJoin | n.WindowJoin | n.TemporalJoin) -> frozenset[frozenset[int]]:
    left, right = unique_keys(node.left), unique_keys(node.right)
    if node.join in (JoinKind.SEMI, JoinKind.ANTI):
        return left
    width = len(node.left.row)
    keys: set[frozenset[int]] = set()
    pairs = equal_columns(node.condition, width)
    mine, other = frozenset(a for a, _ in pairs), frozenset(b for _, b in pairs)
    if any(key <= other for key in right) and not node.join.keeps_right:
        keys |= left
    if any(key <= mine for key in left) and not node.join.keeps_left:
        keys |= {frozenset(column + width for column in key) for key in right}
    if not node.join.keeps_left or not node.join.keeps_right:
        keys |= {a | frozenset(column + width for column in b) for a in left for b in right}
    return frozenset(keys)


def equal_columns(condition: Expression | None, width: int) -> list[tuple[int, int]]:
    """``(left column, right column)`` of the equalities between plain columns that a join condition joins by AND."""
    pairs = []
    for part in conjuncts(condition):
        if getattr(part, "name", "") == "=" and all(isinstance(child, InputRef) for child in part.children):
            a, b = sorted(child.index for child in part.children if isinstance(child, InputRef))
            if a < width <= b:
                pairs.append((a, b - width))
    return pairs


@lru_cache(_CACHED)
def time_columns(node: n.Node) -> dict[int, TimeAttribute]:
    """The columns that are still time attributes here, which watermarks or clocks speak of.

    A regular join, an updating aggregate and their like let rows out at any time: there, event time is plain data.
    """
    declared: dict[int, TimeAttribute] = {
        i: column.time for i, column in enumerate(node.row.columns) if column.time is not TimeAttribute.NONE
    }
    match node:
        case n.Scan() | n.StreamScan() | n.WatermarkAssigner() | n.Values():
            return declared
        case n.Aggregate():
            return {}
        case n.Join() | n.SetOperation():
            return {i: time for i, time in declared.items() if time is TimeAttribute.PROCTIME}
        case n.Project():
            inner = time_columns(node.input)
            return {
                position: time
                for position, time in declared.items()
                if not isinstance(expression := node.expressions[position], InputRef) or expression.index in inner
            }
        case n.Union():
            found = [time_columns(part) for part in node.parts]
            return {i: time for i, time in declared.items() if all(times.get(i) is time for times in found)}
        case n.WindowTable():
            inner = time_columns(node.input)
            last = len(node.row) - 1
            return {i: time for i, time in declared.items() if i in inner or (i == last and node.time in inner)}
        case n.WindowAggregate():
            return declared
        case n.IntervalJoin() | n.WindowJoin() | n.TemporalJoin():
            width = len(node.left.row)
            left, right = time_columns(node.left), time_columns(node.right)
            return {i: time for i, time in declared.items() if (i in left if i < width else i - width in right)}
    inner = time_columns(node.inputs[0])
    return {i: time for i, time in declared.items() if i in inner}


@dataclass(frozen=True)
class WindowColumns:
    """Which columns of a relation say the window of a row."""

    window: Window
    starts: frozenset[int]
    ends: frozenset[int]
    times: frozenset[int]
    event_time: bool

    def moved(self, places: dict[int, list[int]]) -> WindowColumns:
        """Behind a projection; ``places``: where each column went."""

        def to(columns: frozenset[int]) -> frozenset[int]:
            return frozenset(place for column in columns for place in places.get(column, []))

        return WindowColumns(self.window, to(self.starts), to(self.ends), to(self.times), self.event_time)


@lru_cache(_CACHED)
def window_columns(node: n.Node) -> WindowColumns | None:
    """The window columns; None for rows without windows."""
    match node:
        case n.WindowTable():
            width = len(node.input.row)
            event_time = node.row[width + 2].time is TimeAttribute.ROWTIME
            return WindowColumns(
                node.window, frozenset([width]), frozenset([width + 1]), frozenset([width + 2]), event_time
            )
        case n.WindowAggregate():
            start = len(node.keys) + len(node.calls)
            named: dict[str, set[int]] = {}
            for i, name in enumerate(node.properties):
                named.setdefault(name, set()).add(start + i)
            inner = None if node.attached_start is None else window_columns(node.input)
            event_time = time_columns(node.input).get(node.time) is not TimeAttribute.PROCTIME
            if inner is not None:
                event_time = inner.event_time
            return WindowColumns(
                node.window,
                frozenset(named.get("window_start", ())),
                frozenset(named.get("window_end", ())),
                frozenset(named.get("window_time", ())),
                event_time,
            )
        case n.Project():
            found = window_columns(node.input)
            if found is None:
                return None
            places: dict[int, list[int]] = {}
            for position, expression in enumerate(node.expressions):
                if isinstance(expression, InputRef):
                    places.setdefault(expression.index, []).append(position)
            return found.moved(places)
        case n.Filter() | n.Correlate() | n.Over() | n.Deduplicate() | n.WatermarkAssigner():
            return window_columns(node.inputs[0])
        case n.Rank():
            return window_columns(node.input) if node.window is not None else None
        case n.WindowJoin():
            return window_columns(node.left)
    return None

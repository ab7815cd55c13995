"""Group windows and over windows (``pyflink.table.window``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp

from millstream.datastream.call_site import refuse
from millstream.table.expression import Attached, Expression, _attached_to, expression_of
from millstream.table.method_names import ROWS
from millstream.table.select_list import ordered


@dataclass(frozen=True)
class GroupWindow:
    """A window with its alias, ready for ``Table.window``."""

    kind: str
    time: Expression
    widths: tuple[Expression, ...]
    name: str

    def call(self, suffix: str = "") -> exp.Anonymous:
        """``TUMBLE(time, size)``, or ``TUMBLE_START(...)`` and its like."""
        arguments = [self.time._copy(), *(width._copy() for width in self.widths)]
        return exp.Anonymous(this=f"{self.kind}{suffix}", expressions=arguments)


@dataclass(frozen=True)
class GroupWindowOnTime:
    """A window over a time attribute."""

    kind: str
    time: Expression
    widths: tuple[Expression, ...]

    def alias(self, alias: str) -> GroupWindow:
        """Name the window, for ``group_by`` and for ``col(alias).start``."""
        return GroupWindow(self.kind, self.time, self.widths, alias)


@dataclass(frozen=True)
class GroupWindowOfSize:
    """A window whose time is not said yet."""

    kind: str
    widths: tuple[Expression, ...]

    def on(self, time_field: Expression) -> GroupWindowOnTime:
        """The time attribute by which rows come into windows."""
        if not isinstance(time_field, Expression):
            raise refuse(f"on takes a time attribute such as col('ts'), not {time_field!r:.60}.")
        return GroupWindowOnTime(self.kind, time_field, self.widths)


class Tumble:
    """Windows of one size that do not overlap."""

    @staticmethod
    def over(size: Expression) -> GroupWindowOfSize:
        return GroupWindowOfSize("TUMBLE", (_width(size, "Tumble.over"),))


class Slide:
    """Windows of one size that begin every so often."""

    @staticmethod
    def over(size: Expression) -> SlideWithSize:
        return SlideWithSize(_width(size, "Slide.over"))


@dataclass(frozen=True)
class SlideWithSize:
    """A sliding window whose step is not said yet."""

    size: Expression

    def every(self, slide: Expression) -> GroupWindowOfSize:
        """How far apart windows begin."""
        return GroupWindowOfSize("HOP", (_width(slide, "every"), self.size))


class Session:
    """Windows that end when no row has come for a while."""

    @staticmethod
    def with_gap(gap: Expression) -> GroupWindowOfSize:
        return GroupWindowOfSize("SESSION", (_width(gap, "Session.with_gap"),))


def _width(size: Any, where: str) -> Expression:
    given = expression_of(size)
    if isinstance(given._node, exp.Anonymous) and given._node.this == ROWS:
        raise refuse(f"{where}: windows of a number of rows are not supported. Use a time: lit(10).minutes.")
    if not isinstance(given._node, exp.Interval):
        raise refuse(f"{where} takes an interval such as lit(10).minutes, not {given}.")
    return given


@dataclass(frozen=True)
class OverWindow:
    """A window around each row, ready for ``Table.over_window``."""

    partition: tuple[Expression, ...]
    order: Expression
    start: Expression | None
    name: str

    @property
    def attached(self) -> Attached:
        return _attached_to((*self.partition, self.order))

    def node(self) -> exp.Window:
        """As the WINDOW clause of SQL has it."""
        return exp.Window(
            this=exp.to_identifier(self.name),
            partition_by=[part._copy() for part in self.partition],
            order=exp.Order(expressions=[ordered(self.order)]),
            spec=_spec(self.start),
        )


@dataclass(frozen=True)
class OverWindowParts:
    """An over window on its way."""

    partition: tuple[Expression, ...] = ()
    order: Expression | None = None
    start: Expression | None = None

    def order_by(self, order_by: Expression) -> OverWindowParts:
        """The time attribute that orders the rows."""
        return replace(self, order=order_by)

    def preceding(self, preceding: Expression) -> OverWindowParts:
        """Where it begins: ``UNBOUNDED_RANGE``, ``UNBOUNDED_ROW``, ``lit(5).minutes``, ``row_interval(10)``."""
        return replace(self, start=expression_of(preceding))

    def following(self, following: Expression) -> OverWindowParts:
        """Where it ends: ``CURRENT_ROW`` or ``CURRENT_RANGE``."""
        node = following._node if isinstance(following, Expression) else None
        if not isinstance(node, exp.Var) or not node.name.startswith("CURRENT"):
            raise refuse("an over window ends with the current row: following takes CURRENT_ROW or CURRENT_RANGE.")
        return self

    def alias(self, alias: str) -> OverWindow:
        """Name the window, for ``.over(col(alias))``."""
        if self.order is None:
            raise refuse("an over window needs order_by a time attribute before alias.")
        return OverWindow(self.partition, self.order, self.start, alias)


class Over:
    """Windows around each row."""

    @staticmethod
    def partition_by(*partition_by: Expression) -> OverWindowParts:
        """Rows with the same values only."""
        return OverWindowParts(tuple(partition_by))

    @staticmethod
    def order_by(order_by: Expression) -> OverWindowParts:
        """All rows, by a time attribute."""
        return OverWindowParts().order_by(order_by)


def _spec(start: Expression | None) -> exp.WindowSpec | None:
    if start is None:
        return None
    node = start._node
    parts: dict[str, Any] = {"start_side": "PRECEDING", "end": "CURRENT ROW"}
    if isinstance(node, exp.Var):
        bound, kind = node.name.split()
        if bound == "CURRENT":
            return exp.WindowSpec(kind=kind, start="CURRENT ROW", end="CURRENT ROW")
        return exp.WindowSpec(kind=kind, start=bound, **parts)
    if isinstance(node, exp.Anonymous) and node.this == ROWS:
        return exp.WindowSpec(kind="ROWS", start=node.expressions[0].copy(), **parts)
    if isinstance(node, exp.Interval):
        return exp.WindowSpec(kind="RANGE", start=node.copy(), **parts)
    raise refuse(f"preceding takes UNBOUNDED_RANGE, UNBOUNDED_ROW, an interval or row_interval(n), not {start}.")

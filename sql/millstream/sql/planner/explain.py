"""Plans as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

from millstream.core.graph.stream_graph import Exchange
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Expression, InputRef, walk
from millstream.core.table.specs import SortKey
from millstream.sql.plan.nodes import Node, Scan, Values
from millstream.sql.planner.physical import PhysicalOperator
from millstream.sql.planner.state_notes import state_note
from millstream.sql.planner.user_functions import UserFunction

_ROWS_SHOWN: Final = 5
_NUMBERS: Final = frozenset(
    {"first", "last", "offset", "fetch", "preceding", "following", "lower_ms", "upper_ms", "ttl_ms"}
)
"""Fields that are no positions of columns."""


def logical_text(node: Node, depth: int = 0) -> str:
    """A relation a line, inputs indented below."""
    below = [logical_text(child, depth + 1) for child in node.inputs]
    return "\n".join([f"{'  ' * depth}{_headline(node)}", *below])


def identity_text(node: Node) -> str:
    """What a relation computes; which further columns its tables are read with does not matter."""
    below = ", ".join(identity_text(child) for child in node.inputs)
    return f"{node.table.name if isinstance(node, Scan) else _headline(node)}({below})"


def _headline(node: Node) -> str:
    name = type(node).__name__
    if isinstance(node, Scan):
        filters = f", filters=[{', '.join(f'{c} {op} {v!r}' for c, op, v in node.filters)}]" if node.filters else ""
        return f"{name}(table=[{node.table.name}], columns=[{', '.join(node.projection)}]{filters})"
    if isinstance(node, Values):
        shown = ", ".join(str(row) for row in node.rows[:_ROWS_SHOWN])
        return f"{name}(rows=[{shown}{', ...' if len(node.rows) > _ROWS_SHOWN else ''}])"
    own = [field for field in fields(node) if field.name != "row" and not isinstance(getattr(node, field.name), Node)]
    inputs = node.inputs
    parts = []
    for field in own:
        value = getattr(node, field.name)
        if value is None or value is False or value in ((), (None, None)) or field.name == "parts":
            continue
        plain = field.name in _NUMBERS
        parts.append(f"{field.name}={value if plain else _value(value, inputs)}")
    return f"{name}({', '.join(parts)})"


def _value(value: Any, inputs: tuple[Node, ...]) -> str:
    if isinstance(value, Expression):
        return named(value, [column for node in inputs for column in node.row.names])
    if isinstance(value, SortKey):
        column = inputs[0].row[value.column].name
        return f"{column} {'ASC' if value.ascending else 'DESC'}"
    if isinstance(value, AggregateCall):
        return value.with_names([column.name for node in inputs for column in node.row.columns])
    if isinstance(value, UserFunction):
        return value.name  # what stands for its code differs from run to run
    if isinstance(value, tuple):
        return f"[{', '.join(_value(part, inputs) for part in value)}]"
    if isinstance(value, int) and not isinstance(value, bool) and inputs and value < len(inputs[0].row):
        return inputs[0].row[value].name
    return str(getattr(value, "value", value))


def named(expression: Expression, names: list[str]) -> str:
    """An expression with the names of columns."""
    text = str(expression)
    refs = sorted({part.index for part in walk(expression) if isinstance(part, InputRef)}, reverse=True)
    for index in refs:
        text = text.replace(f"${index}", names[index])
    return text


def physical_text(ends: Iterable[PhysicalOperator], *, changelog_mode: bool, state: bool = False) -> str:
    """An operator a line with what it reads below; one that is read twice is shown once and named the second time."""
    lines: list[str] = []
    numbers: dict[PhysicalOperator, int] = {}
    for end in ends:
        _physical(end, 0, lines, numbers, (changelog_mode, state))
    return "\n".join(lines)


def _physical(
    operator: PhysicalOperator,
    depth: int,
    lines: list[str],
    numbers: dict[PhysicalOperator, int],
    shown: tuple[bool, bool],
) -> None:
    indent = "  " * depth
    known = numbers.get(operator)
    if known is not None:
        lines.append(f"{indent}[{known}] {operator.name}, as above")
        return
    numbers[operator] = len(numbers) + 1
    columns = ", ".join(operator.row.names)
    changes = f", changelogMode=[{operator.changes}]" if shown[0] else ""
    note = state_note(operator) if shown[1] else None
    kept = f", state=[{note}]" if note is not None else ""
    single = ", parallelism=1" if operator.parallelism == 1 else ""
    lines.append(f"{indent}[{numbers[operator]}] {operator.name}(columns=[{columns}]{changes}{kept}{single})")
    for edge in operator.edges:
        inner = depth + 1
        if edge.exchange is not Exchange.FORWARD:
            keys = [edge.source.row[index].name for index in edge.keys or ()]
            how = f"hash[{', '.join(keys)}]" if keys else "single"
            lines.append(f"{'  ' * inner}Exchange(distribution=[{how}])")
            inner += 1
        _physical(edge.source, inner, lines, numbers, shown)

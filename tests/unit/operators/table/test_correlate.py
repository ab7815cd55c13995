"""UNNEST and table functions of users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Call, InputRef, Literal
from millstream.core.table.logical_types import LogicalType
from millstream.core.table.python_functions import PythonTableFunction
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import CorrelateSpec
from millstream.testing.harness import OperatorHarness
from tests.unit.operators.table.changelogs import changelog_of

PAIR = lt.row(("x", lt.BIGINT), ("y", lt.STRING))


def run(kind: LogicalType, values: list[Any], columns: list[Column], **more: Any) -> list[Any]:
    source = RowType((Column("id", lt.BIGINT), Column("items", kind)))
    output = RowType((*source.columns, *columns))
    call = InputRef(kind, 1)
    spec = CorrelateSpec(source, output, call, "UNNEST", (), **{"left_outer": False, **more})
    with OperatorHarness(spec) as harness:
        changes = [("-D" if number % 2 else "+I", (number, value)) for number, value in enumerate(values)]
        harness.push_batch(changelog_of(source, changes).slice(0, 0))
        whole = changelog_of(source, [("+I", (-1, None)), *changes])
        harness.push_batch(whole.slice(1, whole.num_rows))  # arrays with an offset
        return [(change, (row[0], *row[2:])) for change, row in harness.changelog]


ITEM = [Column("item", lt.BIGINT)]


def test_arrays() -> None:
    values = [[1, None], [], None, [3]]
    expected = [("+I", (0, 1)), ("+I", (0, None)), ("-D", (3, 3))]
    assert run(lt.array(lt.BIGINT), values, ITEM) == expected
    outer = [*expected[:2], ("-D", (1, None)), ("+I", (2, None)), expected[2]]
    assert run(lt.array(lt.BIGINT), values, ITEM, left_outer=True) == outer


def test_arrays_of_rows_are_columns() -> None:
    values = [[{"x": 1, "y": "a"}, None], [{"x": None, "y": "b"}]]
    columns = [Column("x", lt.BIGINT), Column("y", lt.STRING), Column("n", lt.BIGINT)]
    assert run(lt.array(PAIR), values, columns, with_ordinality=True) == [
        ("+I", (0, 1, "a", 1)),
        ("+I", (0, None, None, 2)),
        ("-D", (1, None, "b", 1)),
    ]


def test_maps_and_multisets() -> None:
    values = [[("a", 2), ("b", 0)], None, [("c", 1)]]
    columns = [Column("key", lt.STRING), Column("value", lt.INT)]
    kinds = [("+I", (0, "a", 2)), ("+I", (0, "b", 0)), ("+I", (2, "c", 1))]
    assert run(lt.map_of(lt.STRING, lt.INT), values, columns) == kinds
    repeated = [("+I", (0, "a")), ("+I", (0, "a")), ("+I", (2, "c"))]
    assert run(lt.multiset(lt.STRING), values, columns[:1]) == repeated


def test_a_condition_of_an_outer_join_leaves_the_row() -> None:
    condition = Call(lt.BOOLEAN, ">", (InputRef(lt.BIGINT, 2), Literal(lt.BIGINT, 1)))
    emitted = run(lt.array(lt.BIGINT), [[1, 2], [1]], ITEM, left_outer=True, condition=condition)
    assert emitted == [("+I", (0, 2)), ("-D", (1, None))]


def split(text: str) -> Iterator[tuple[str, int]]:
    for word in text.split():
        yield word, len(word)


@pytest.mark.parametrize("outer", [True, False])
def test_functions_of_users(outer: bool) -> None:
    source = RowType((Column("text", lt.STRING),))
    row = lt.row(("word", lt.STRING), ("length", lt.INT))
    output = RowType((*source.columns, Column("word", lt.STRING), Column("length", lt.INT)))
    function = PythonTableFunction("split", split, (lt.STRING,), row)
    text = InputRef(lt.STRING, 0)
    spec = CorrelateSpec(source, output, text, function, (text,), outer)
    with OperatorHarness(spec) as harness:
        harness.push_batch(changelog_of(source, [("+I", ("a bc",)), ("-D", ("",)), ("+U", ("d",))]))
        expected = [("+I", ("a bc", "a", 1)), ("+I", ("a bc", "bc", 2)), ("+U", ("d", "d", 1))]
        if outer:
            expected.insert(2, ("-D", ("", None, None)))
        assert harness.changelog == expected

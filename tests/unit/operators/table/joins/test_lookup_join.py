"""The lookup join against plain Python: tables that are kept whole, and those that are asked for each batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.connectors.table_factories import table_connector
from millstream.core.clock import ManualClock
from millstream.core.errors import ConfigError
from millstream.core.table import logical_types as lt
from millstream.core.table.connectors import TableDescription
from millstream.core.table.expressions import InputRef, Literal
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.lookups import LookupFunction
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import CalcSpec, JoinKind, LookupJoinSpec
from millstream.testing.harness import OperatorHarness
from tests.unit.operators.table.changelogs import MODES, batch_of, changelog_of, changelogs, materialized, surviving

INPUT = RowType((Column("k", lt.BIGINT), Column("v", lt.INT)))
STORED = RowType((Column("n", lt.INT), Column("id", lt.BIGINT)))
TABLE = RowType((Column("id", lt.BIGINT), Column("twice", lt.INT)))
OUTPUT = RowType((*INPUT.columns, *TABLE.columns))
STEP = CalcSpec(
    STORED,
    TABLE,
    (InputRef(lt.BIGINT, 1), bind_call("+", [InputRef(lt.INT, 0), InputRef(lt.INT, 0)])),
    bind_call(">", [InputRef(lt.INT, 0), Literal(lt.INT, 1)]),
)
ROW = st.tuples(st.sampled_from([1, 2, 3, None]), st.integers(0, 8))
STORED_ROW = st.tuples(st.integers(0, 4), st.sampled_from([1, 2, None]))


class Held(LookupFunction):
    """Rows that the test holds; ``whole`` says which kind of lookup it is."""

    def __init__(self, rows: Sequence[tuple[Any, ...]], whole: bool) -> None:
        self.schema = STORED.arrow_schema()
        self.rows, self.whole = list(rows), whole

    def load(self) -> Any:
        return iter([batch_of(STORED, self.rows).records]) if self.whole else None

    def lookup(self, keys: Sequence[pa.Array]) -> tuple[Any, pa.RecordBatch]:
        wanted = keys[0].to_pylist()
        assert None not in wanted
        found = [(at, row) for at, key in enumerate(wanted) for row in self.rows if row[1] == key]
        positions = np.array([at for at, _ in found], np.int64)
        return positions, batch_of(STORED, [row for _, row in found]).records


def spec_of(function: LookupFunction, kind: JoinKind, with_condition: bool = False) -> LookupJoinSpec:
    condition = bind_call("<", [InputRef(lt.INT, 1), InputRef(lt.INT, 3)]) if with_condition else None
    return LookupJoinSpec(INPUT, OUTPUT, kind, (InputRef(lt.BIGINT, 0),), function, ("id",), (STEP,), TABLE, condition)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("kind", [JoinKind.INNER, JoinKind.LEFT], ids=lambda kind: kind.name)
@given(changes=changelogs(ROW, 15), stored=st.lists(STORED_ROW, max_size=6), with_condition=st.booleans())
@settings(max_examples=15, deadline=None)
def test_equals_plain_python(
    kind: JoinKind, whole: bool, mode: Any, changes: Any, stored: list[Any], with_condition: bool
) -> None:
    expected: Counter[Any] = Counter()
    for key, value in surviving(changes):
        found = [
            (key, value, key, 2 * n)
            for n, id_ in stored
            if n > 1 and key is not None and id_ == key and (not with_condition or value < 2 * n)
        ]
        expected.update(found or ([(key, value, None, None)] if kind is JoinKind.LEFT else []))
    with OperatorHarness(spec_of(Held(stored, whole), kind, with_condition), mode=mode) as harness:
        harness.push_batch(changelog_of(INPUT, changes))
        harness.end()
        assert materialized(harness.changelog) == expected


def test_a_table_that_is_kept_whole_is_loaded_again_when_its_time_has_come() -> None:
    function = Held([(2, 1)], whole=True)
    function.reload_ms = 1000
    with OperatorHarness(spec_of(function, JoinKind.INNER)) as harness:
        harness.push_batch(batch_of(INPUT, [(1, 0)]))
        function.rows[:] = [(3, 1)]
        harness.push_batch(batch_of(INPUT, [(1, 0)]))
        harness.advance(1000)
        harness.push_batch(batch_of(INPUT, [(1, 0)]))
        assert [row[3] for _, row in harness.changelog] == [4, 4, 6]


def description(path: Path, **options: str) -> TableDescription:
    given = {"connector": "filesystem", "path": str(path), "format": "csv", **options}
    return TableDescription("side", STORED.arrow_schema(), given)


def test_files_are_looked_up(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("2,1\n3,2\n")
    (tmp_path / "b.csv").write_text("4,2\n")
    described = description(tmp_path, **{"lookup.full-cache.periodic-reload.interval": "10 min"})
    function = table_connector("filesystem").lookup(described, ("id",), ("id", "n"))
    assert function is not None and function.reload_ms == 600_000
    step = replace(STEP, input=RowType((STORED[1], STORED[0])))
    step = replace(step, projections=(InputRef(lt.BIGINT, 0), InputRef(lt.INT, 1)), condition=None)
    spec = replace(spec_of(function, JoinKind.INNER), steps=(step,))
    with OperatorHarness(spec) as harness:
        harness.push_batch(batch_of(INPUT, [(2, 0), (5, 0)]))
        assert Counter(row for _, row in harness.changelog) == Counter([(2, 0, 2, 3), (2, 0, 2, 4)])


def test_rows_of_values_are_looked_up() -> None:
    described = TableDescription("side", STORED.arrow_schema(), {"connector": "values", "data": "[[2, 1], [3, null]]"})
    function = table_connector("values").lookup(described, ("id",), ("id",))
    assert function is not None
    function.open(ManualClock())
    loaded = function.load()
    assert loaded is not None
    assert [batch.to_pydict() for batch in loaded] == [{"id": [1, None]}]


def test_other_caches_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lookup\.cache.*FULL"):
        table_connector("filesystem").lookup(description(tmp_path, **{"lookup.cache": "PARTIAL"}), ("id",), ("id",))

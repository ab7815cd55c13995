"""GROUP BY against plain Python: any changelog, cut into any batches, restored anywhere."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.logical_types import LogicalType
from millstream.core.table.python_functions import PythonAggregateFunction
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import GroupAggregateSpec
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode
from tests.unit.operators.table.aggregate_twins import aggregate
from tests.unit.operators.table.changelogs import (
    MODES,
    Change,
    changelog_of,
    changelogs,
    frozen,
    materialized,
    surviving,
)

DEC = lt.decimal(12, 2)
INPUT = RowType(
    (
        Column("k", lt.BIGINT),
        Column("name", lt.STRING),
        Column("v", lt.BIGINT),
        Column("i", lt.INT),
        Column("d", lt.DOUBLE),
        Column("dec", DEC),
        Column("s", lt.STRING),
        Column("f", lt.BOOLEAN),
    )
)
V, INT_COLUMN, D, DEC_COLUMN, S, F = range(2, 8)


def call(name: str, argument: int | None = None, result: LogicalType = lt.BIGINT, **more: Any) -> AggregateCall:
    arguments = () if argument is None else (argument,)
    return AggregateCall(name, arguments, tuple(INPUT[index].type for index in arguments), result, **more)


CALLS = {
    "numbers": (
        call("COUNT"),
        call("COUNT", V),
        call("SUM", V),
        call("SUM", INT_COLUMN, lt.INT),
        call("SUM0", V),
        call("AVG", V),
        call("MIN", V),
        call("MAX", D, lt.DOUBLE),
        call("SUM", V, filter=F),
        call("AVG", D, lt.DOUBLE),
    ),
    "decimals": (
        call("SUM", DEC_COLUMN, lt.decimal(38, 2)),
        call("AVG", DEC_COLUMN, lt.decimal(38, 6)),
        call("MIN", DEC_COLUMN, DEC),
        call("MAX", DEC_COLUMN, DEC, filter=F),
    ),
    "texts": (
        call("MIN", S, lt.STRING),
        call("MAX", S, lt.STRING),
        call("FIRST_VALUE", S, lt.STRING),
        call("LAST_VALUE", V),
        call("LISTAGG", S, lt.STRING, constants=("|",)),
    ),
    "distinct": (
        call("COUNT", V, distinct=True),
        call("COUNT", V, distinct=True, filter=F),
        call("SUM", V, distinct=True),
        call("COUNT", S, distinct=True, filter=F),
        call("COUNT", V),
    ),
    "moments": (
        call("STDDEV_POP", V, lt.DOUBLE),
        call("VAR_SAMP", V, lt.DOUBLE),
        call("STDDEV_SAMP", V, lt.DOUBLE, filter=F),
        call("VAR_POP", V, lt.DOUBLE),
    ),
    "collections": (
        call("ARRAY_AGG", V, lt.array(lt.BIGINT)),
        call("ARRAY_AGG", S, lt.array(lt.STRING), ignore_nulls=True),
        call("COLLECT", S, lt.multiset(lt.STRING)),
        call("PERCENTILE", V, lt.DOUBLE, constants=(0.3,)),
        call("JSON_ARRAYAGG", S, lt.STRING, ignore_nulls=True),
    ),
    "nothing": (),
}

ROWS = st.tuples(
    st.sampled_from([1, 2, None]),
    st.sampled_from(["x", None]),
    st.one_of(st.none(), st.integers(-5, 5)),
    st.one_of(st.none(), st.sampled_from([1, 2**31 - 1, -(2**31)])),
    st.one_of(st.none(), st.sampled_from([0.5, -1.25, 3.0])),
    st.one_of(st.none(), st.sampled_from([Decimal("1.25"), Decimal("-9999999999.99"), Decimal("0.01")])),
    st.one_of(st.none(), st.sampled_from(["a", "b", "", "ä"])),
    st.one_of(st.none(), st.booleans()),
)


def twin(calls: tuple[AggregateCall, ...], changes: list[Change], keys: tuple[int, ...]) -> Counter[Any]:
    groups = {tuple(row[index] for index in keys) for row in surviving(changes)}
    return Counter(frozen((*key, *(_of_group(each, changes, keys, key) for each in calls))) for key in groups)


def _of_group(each: AggregateCall, changes: list[Change], keys: tuple[int, ...], key: tuple[Any, ...]) -> Any:
    """An aggregate knows its arguments only: of rows that are equal in these, the oldest is taken back."""
    seen = {*each.arguments, each.filter}
    of_key = [(kind, row) for kind, row in changes if tuple(row[index] for index in keys) == key]
    passing = [(kind, row) for kind, row in of_key if each.filter is None or row[each.filter]]
    known = [(kind, tuple(v if i in seen else None for i, v in enumerate(row))) for kind, row in passing]
    return sorted_multiset(each, aggregate(each, surviving(known)))


def sorted_multiset(each: AggregateCall, value: Any) -> Any:
    return sorted(value) if each.name == "COLLECT" else value


def normalized(calls: tuple[AggregateCall, ...], change: Change, keys: int) -> Change:
    kind, row = change
    return kind, (*row[:keys], *(sorted_multiset(each, v) for each, v in zip(calls, row[keys:], strict=True)))


def run(
    calls: tuple[AggregateCall, ...],
    changes: list[Change],
    mode: RunMode,
    keys: tuple[int, ...] = (0, 1),
    **more: Any,
) -> list[Change]:
    retracts = any(kind in ("-U", "-D") for kind, _ in changes)
    columns = [INPUT[index] for index in keys]
    output = RowType((*columns, *(Column(f"a{index}", each.type) for index, each in enumerate(calls))))
    arguments = {"retracts": retracts, "update_before": True, **more}
    spec = GroupAggregateSpec(INPUT, output, keys, calls, **arguments)
    with OperatorHarness(spec, mode=mode) as harness:
        harness.push_batch(changelog_of(INPUT, changes))
        harness.end()
        return [normalized(calls, change, len(keys)) for change in harness.changelog]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("mode", MODES, ids=str)
@given(changes=changelogs(ROWS))
@settings(max_examples=15, deadline=None)
def test_equals_plain_python(name: str, mode: RunMode, changes: list[Change]) -> None:
    calls = CALLS[name]
    emitted = run(calls, changes, mode)
    expected = twin(calls, changes, (0, 1))
    assert materialized(emitted) == expected
    assert materialized(emitted, (0, 1)) == expected


@pytest.mark.parametrize("name", CALLS)
@given(rows=st.lists(ROWS, max_size=25))
@settings(max_examples=15, deadline=None)
def test_appended_rows_without_update_before(name: str, rows: list[tuple[Any, ...]]) -> None:
    emitted = run(CALLS[name], [("+I", row) for row in rows], RunMode(seed=3), update_before=False)
    assert "-U" not in {kind for kind, _ in emitted}
    assert materialized(emitted, (0, 1)) == twin(CALLS[name], [("+I", row) for row in rows], (0, 1))


@given(changes=changelogs(ROWS))
@settings(max_examples=20, deadline=None)
def test_batch_mode_emits_once_at_the_end(changes: list[Change]) -> None:
    emitted = run(CALLS["numbers"], changes, RunMode(batch_rows=2, restore_each_step=True), final_only=True)
    assert {kind for kind, _ in emitted} <= {"+I"}
    assert materialized(emitted) == twin(CALLS["numbers"], changes, (0, 1))


def test_an_unchanged_result_is_not_repeated() -> None:
    row = (1, "x", 5, None, None, None, None, None)
    emitted = run((call("MAX", V),), [("+I", row), ("+I", (1, "x", 4, *row[3:])), ("+I", row)], RunMode(batch_rows=1))
    assert emitted == [("+I", (1, "x", 5))]


def test_with_expiry_it_is_repeated_and_old_keys_start_anew() -> None:
    calls = (call("SUM", V),)
    output = RowType((INPUT[0], Column("total", lt.BIGINT)))
    row = (1, "x", 5, None, None, None, None, None)
    zero = (1, "x", 0, None, None, None, None, None)
    with OperatorHarness(GroupAggregateSpec(INPUT, output, (0,), calls, False, True, ttl_ms=1000)) as harness:
        harness.push_batch(changelog_of(INPUT, [("+I", row)]))
        harness.advance(600)
        harness.push_batch(changelog_of(INPUT, [("+I", zero)]))
        harness.advance(900)
        harness.push_batch(changelog_of(INPUT, [("+I", row)]))
        harness.advance(1001)
        harness.push_batch(changelog_of(INPUT, [("+I", row)]))
        assert harness.changelog == [
            ("+I", (1, 5)),
            ("-U", (1, 5)),
            ("+U", (1, 5)),
            ("-U", (1, 5)),
            ("+U", (1, 10)),
            ("+I", (1, 5)),
        ]


@pytest.mark.parametrize("rows", [0, 3])
def test_batch_mode_without_keys_has_a_row_for_empty_input(rows: int) -> None:
    calls = (call("COUNT"), call("SUM", V))
    changes: list[Change] = [("+I", (1, "x", 5, None, None, None, None, None))] * rows
    emitted = run(calls, changes, RunMode(), keys=(), final_only=True, global_row=True)
    assert emitted == [("+I", (rows, 5 * rows if rows else None))]


def test_a_group_that_lost_its_last_row_is_deleted_and_may_come_back() -> None:
    row = (1, "x", 5, None, None, None, None, None)
    emitted = run((call("COUNT"),), [("+I", row), ("-D", row), ("+I", row)], RunMode(batch_rows=1))
    assert emitted == [("+I", (1, "x", 1)), ("-D", (1, "x", 1)), ("+I", (1, "x", 1))]


def test_approximate_counts_are_near() -> None:
    calls = (call("APPROX_COUNT_DISTINCT", V),)
    changes: list[Change] = [("+I", (1, "x", value % 20_000, None, None, None, None, None)) for value in range(40_000)]
    emitted = run(calls, changes, RunMode(batch_rows=10_000), update_before=False)
    assert abs(emitted[-1][1][2] - 20_000) < 20_000 * 0.08


class Longest:
    """The longest text, with retractions."""

    def create_accumulator(self) -> list[str]:
        return []

    def accumulate(self, accumulator: list[str], text: str | None) -> None:
        accumulator.append(text or "")

    def retract(self, accumulator: list[str], text: str | None) -> None:
        accumulator.remove(text or "")

    def merge(self, accumulator: list[str], others: list[list[str]]) -> None:
        for other in others:
            accumulator.extend(other)

    def get_value(self, accumulator: list[str]) -> str:
        return max(accumulator, key=lambda text: (len(text), text), default="")


@pytest.mark.parametrize("mode", MODES, ids=str)
@given(changes=changelogs(ROWS))
@settings(max_examples=15, deadline=None)
def test_functions_of_users(mode: RunMode, changes: list[Change]) -> None:
    function = PythonAggregateFunction("longest", Longest(), (lt.STRING,), lt.STRING)
    emitted = run((call("longest", S, lt.STRING, function=function),), changes, mode)
    groups: dict[Any, list[str]] = {}
    for row in surviving(changes):
        groups.setdefault(row[:2], []).append(row[S] or "")
    expected = {(*key, max(texts, key=lambda text: (len(text), text))) for key, texts in groups.items()}
    assert set(materialized(emitted)) == expected

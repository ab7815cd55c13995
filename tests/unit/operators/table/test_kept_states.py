"""What the planner says of the state of aggregates is what they store: equal forms for equal columns, and no others."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest

from millstream.core.clock import ManualClock
from millstream.core.table import logical_types as t
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.logical_types import LogicalType
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import GroupAggregateSpec
from millstream.sql.planner.kept_states import kept_states
from millstream.taskmanager.operators.table.aggregates.aggregate_set import AggregateSet
from millstream.taskmanager.operators.table.keyed_table_operator import key_fields
from millstream.taskmanager.state.columnar.table import ColumnTable

TYPES = [t.INT, t.INT.with_nullable(False), t.BIGINT, t.DOUBLE, t.STRING, t.decimal(10, 2), t.decimal(12, 2)]
NUMBERS_ONLY = ("SUM", "AVG", "STDDEV_POP", "PERCENTILE")
ANY = ("COUNT", "MIN", "MAX", "FIRST_VALUE", "LAST_VALUE", "COLLECT", "ARRAY_AGG")
RESULTS = {"COUNT": t.BIGINT, "STDDEV_POP": t.DOUBLE, "PERCENTILE": t.DOUBLE}


def spec_of(name: str, kind: LogicalType, retracts: bool, distinct: bool) -> GroupAggregateSpec:
    result = RESULTS.get(name, kind)
    if name == "COLLECT":
        result = t.multiset(kind)
    if name == "ARRAY_AGG":
        result = t.array(kind)
    constants = (0.5,) if name == "PERCENTILE" else ()
    call = AggregateCall(name, (1,), (kind,), result, distinct=distinct, constants=constants)
    row = RowType((Column("k", kind), Column("v", kind)))
    return GroupAggregateSpec(row, row, (0,), (call,), retracts, update_before=True)


def stored(spec: GroupAggregateSpec) -> list[str]:
    """The tables that the operator makes."""
    made: list[str] = []

    def table(name: str, keys: pa.Schema, values: pa.Schema) -> ColumnTable:
        made.append(f"{name} {keys} {values}")
        return ColumnTable(name, keys, values, clock=ManualClock(), tracks_changes=False)

    AggregateSet("groups", key_fields(spec.input, spec.keys), spec.aggregates, spec.retracts, table)
    return made


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("retracts", [False, True])
@pytest.mark.parametrize("name", [*NUMBERS_ONLY, *ANY])
def test_forms_differ_where_tables_do(name: str, retracts: bool, distinct: bool) -> None:
    kinds = [kind for kind in TYPES if kind.root is not t.TypeRoot.VARCHAR or name in ANY]
    for one, other in itertools.combinations(kinds, 2):
        specs = [spec_of(name, kind, retracts, distinct) for kind in (one, other)]
        forms = [kept_states(spec)[0].form for spec in specs]
        tables = [stored(spec) for spec in specs]
        assert (forms[0] == forms[1]) == (tables[0] == tables[1]), f"{one} and {other}: {forms}, {tables}"


def test_a_sum_of_another_scale_has_another_form_though_it_is_stored_in_the_same_columns() -> None:
    forms = set()
    for scale in (2, 4):
        call = AggregateCall("SUM", (0,), (t.decimal(10, scale),), t.decimal(38, scale))
        row = RowType((Column("v", t.decimal(10, scale)),))
        forms.add(kept_states(GroupAggregateSpec(row, row, (), (call,), False, False))[0].form)
    assert len(forms) == 2


def test_rows_that_may_be_taken_back_need_another_form() -> None:
    forms = {kept_states(spec_of("COUNT", t.INT, retracts, False))[0].form for retracts in (False, True)}
    assert len(forms) == 2

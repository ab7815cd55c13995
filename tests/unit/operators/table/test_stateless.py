"""Calc, Expand, watermark assigner, DropUpdateBefore, NotNull."""

from __future__ import annotations

from datetime import datetime

import pytest

from millstream.core.elements.control import MAX_WATERMARK_MS
from millstream.core.errors import MalformedRecordError, MillstreamError
from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Call, InputRef, Literal
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import (
    CalcSpec,
    DropUpdateBeforeSpec,
    ExpandSpec,
    NotNullSpec,
    WatermarkAssignerSpec,
)
from millstream.testing.harness import OperatorHarness
from tests.unit.operators.table.changelogs import batch_of, changelog_of

PAIR = RowType((Column("a", lt.BIGINT), Column("b", lt.BIGINT)))
A, B = InputRef(lt.BIGINT, 0), InputRef(lt.BIGINT, 1)


def test_calc_filters_then_computes_and_takes_updates_apart() -> None:
    total = Call(lt.BIGINT, "+", (A, B))
    condition = Call(lt.BOOLEAN, ">", (A, Literal(lt.BIGINT, 1)))
    spec = CalcSpec(PAIR, RowType((Column("t", lt.BIGINT), Column("a", lt.BIGINT))), (total, A), condition)
    with OperatorHarness(spec) as harness:
        harness.push_batch(
            changelog_of(PAIR, [("+I", (1, 1)), ("-U", (2, 1)), ("+U", (2, 2)), ("+I", (None, 1)), ("-D", (3, None))])
        )
        assert harness.changelog == [("-D", (3, 2)), ("+I", (4, 2)), ("-D", (None, 3))]


def test_calc_keeps_updates_that_no_condition_parts() -> None:
    total = Call(lt.BIGINT, "+", (A, B))
    spec = CalcSpec(PAIR, RowType((Column("t", lt.BIGINT),)), (total,))
    with OperatorHarness(spec) as harness:
        harness.push_batch(changelog_of(PAIR, [("-U", (2, 1)), ("+U", (2, 2))]))
        assert harness.changelog == [("-U", (3,)), ("+U", (4,))]


def test_calc_names_the_row_that_fails() -> None:
    spec = CalcSpec(PAIR, RowType((Column("q", lt.BIGINT),)), (Call(lt.BIGINT, "/", (A, B)),))
    told = r"operator 'Calc\[1\]'(.|\n)*'a': 7, 'b': 0"
    with OperatorHarness(spec, name="Calc[1]") as harness, pytest.raises(MillstreamError, match=told):
        harness.push_batch(batch_of(PAIR, [(1, 1), (2, 1), (7, 0), (1, 1)]))


def test_expand_repeats_rows() -> None:
    null = Literal(lt.BIGINT, None)
    with OperatorHarness(ExpandSpec(PAIR, PAIR, ((A, null), (null, B)))) as harness:
        harness.push_batch(changelog_of(PAIR, [("+I", (1, 2)), ("-D", (3, 4))]))
        assert harness.changelog == [("+I", (1, None)), ("-D", (3, None)), ("+I", (None, 2)), ("-D", (None, 4))]


def test_drop_update_before() -> None:
    changes = [("+I", (1, 1)), ("-U", (1, 1)), ("+U", (1, 2)), ("-D", (1, 2))]
    with OperatorHarness(DropUpdateBeforeSpec(PAIR, PAIR)) as harness:
        harness.push_batch(changelog_of(PAIR, changes))
        assert harness.changelog == [change for change in changes if change[0] != "-U"]


def test_not_null_drops_or_refuses() -> None:
    with OperatorHarness(NotNullSpec(PAIR, PAIR, (0, 1), True, "sink")) as harness:
        harness.push_batch(changelog_of(PAIR, [("+I", (1, None)), ("-D", (1, 2)), ("+I", (None, 2))]))
        assert harness.changelog == [("-D", (1, 2))]
    refusing = OperatorHarness(NotNullSpec(PAIR, PAIR, (1,), False, "sink"))
    with refusing as harness, pytest.raises(MalformedRecordError, match="column 'b' of table sink is NOT NULL"):
        harness.push_batch(batch_of(PAIR, [(None, 1), (1, None)]))


TIMED = RowType((Column("ts", lt.timestamp(3)),))


def watermarks(idle_timeout_ms: int = 0) -> WatermarkAssignerSpec:
    return WatermarkAssignerSpec(TIMED, TIMED, 0, InputRef(lt.timestamp(3), 0), idle_timeout_ms)


def test_the_watermark_follows_the_greatest_time() -> None:
    day = datetime(2020, 1, 1)
    rows = [(day.replace(second=second),) for second in (1, 5, 3)]
    first = 1_577_836_800_000
    with OperatorHarness(watermarks()) as harness:
        harness.push_batch(batch_of(TIMED, rows))
        harness.restore(harness.snapshot())
        harness.push_batch(batch_of(TIMED, [(day.replace(second=4),)]))
        harness.watermark(7)
        harness.push_batch(batch_of(TIMED, [(day.replace(second=9),)]))
        harness.end()
        assert harness.watermarks_ms == [first + 5000, first + 9000, MAX_WATERMARK_MS]
        assert len(harness.changelog) == 5


def test_a_row_without_time_is_refused() -> None:
    refusal = pytest.raises(MalformedRecordError, match="event time 'ts' is NULL")
    with OperatorHarness(watermarks()) as harness, refusal:
        harness.push_batch(batch_of(TIMED, [(None,)]))


def test_silence_makes_it_idle_and_a_row_active() -> None:
    with OperatorHarness(watermarks(1000)) as harness:
        harness.push_batch(batch_of(TIMED, [(datetime(2020, 1, 1),)]))
        harness.advance(999)
        assert harness.output.statuses == []
        harness.advance(1)
        assert harness.output.statuses == [True]
        harness.push_batch(batch_of(TIMED, [(datetime(2020, 1, 1),)]))
        assert harness.output.statuses == [True, False]

"""Asynchronous functions: their calls run side by side within a bound, answer in order, are repeated and timed out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from millstream.core.errors import JobGraphError, UserCodeError
from millstream.core.table import logical_types as lt
from millstream.core.table.async_calls import AsyncCalls, AsyncSettings
from millstream.core.table.expressions import InputRef, PythonCall
from millstream.core.table.python_functions import PythonScalarFunction
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import CalcSpec
from millstream.sql.planner.user_functions import as_function
from millstream.testing.harness import OperatorHarness
from tests.unit.operators.table.changelogs import batch_of

SETTINGS = AsyncSettings(concurrent_max=4, timeout_ms=10_000, retries_max=2, retry_delay_ms=1)


def function_of(function: Any) -> PythonScalarFunction:
    found = as_function(function.__name__, function)
    assert isinstance(found, PythonScalarFunction) and found.asynchronous
    return found


def evaluated(function: Any, values: list[int], settings: AsyncSettings = SETTINGS) -> list[Any]:
    calls = AsyncCalls(settings)
    try:
        answers: list[Any] = function_of(function).evaluate([pa.array(values)], len(values), calls).to_pylist()
        return answers
    finally:
        calls.close()


def test_calls_run_side_by_side_within_the_bound_and_answer_in_order() -> None:
    running, most = 0, 0
    full = asyncio.Event()

    async def twice(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 4:
            full.set()
        await full.wait()  # the first four wait for each other
        for _ in range(10 - n):  # later ones are faster
            await asyncio.wait([asyncio.ensure_future(full.wait())])
        running -= 1
        return 2 * n

    assert evaluated(twice, list(range(10))) == [2 * n for n in range(10)]
    assert most == 4


def test_calls_that_raise_are_made_again_and_fail_for_good_with_line_and_row() -> None:
    made: Counter[int] = Counter()

    async def flaky(n: int) -> int:
        made[n] += 1
        if made[n] <= n:
            raise ConnectionError("busy")
        return n

    assert evaluated(flaky, [0, 1, 2]) == [0, 1, 2] and made == {0: 1, 1: 2, 2: 3}
    made.clear()
    with pytest.raises(UserCodeError, match=r"the function flaky \(.*test_async_calls.py, line \d+\) failed on \(3,\)"):
        evaluated(flaky, [0, 3, 0])
    assert made[3] == 3, "once, and two retries"
    made.clear()
    with pytest.raises(UserCodeError, match="ConnectionError: busy"):
        evaluated(flaky, [1], AsyncSettings.of({"table.exec.async-scalar.retry-strategy": "NO_RETRY"}))
    assert made == {1: 1}


def test_a_call_without_an_answer_is_named_and_the_others_are_cancelled() -> None:
    cancelled: list[int] = []

    async def silent(n: int) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(n)
            raise
        return n

    with pytest.raises(
        UserCodeError, match=r"silent .*failed on \(1,\)\n.*no answer within 0.02 s \(table.exec.async-"
    ):
        evaluated(silent, [1, 2, 3], replace(SETTINGS, timeout_ms=20, concurrent_max=1))
    assert cancelled == [1], "the others were not made"
    cancelled.clear()
    with pytest.raises(UserCodeError):
        evaluated(silent, [1, 2, 3], replace(SETTINGS, timeout_ms=20))
    assert sorted(cancelled) == [1, 2, 3]


def test_the_functions_own_timeout_is_not_ours() -> None:
    async def timid(n: int) -> int:
        raise TimeoutError("of the service")

    with pytest.raises(UserCodeError, match="TimeoutError: of the service"):
        evaluated(timid, [1])


def test_without_anybody_to_wait_it_says_so() -> None:
    async def late(n: int) -> int:
        return n

    with pytest.raises(JobGraphError, match="late is asynchronous"):
        function_of(late).evaluate([pa.array([1])], 1)


@pytest.fixture
def broken() -> Iterator[tuple[CalcSpec, Counter[int]]]:
    made: Counter[int] = Counter()

    async def fragile(n: int) -> int:
        made[n] += 1
        if n == 7:
            raise ValueError("seven")
        return n

    row = RowType((Column("n", lt.BIGINT),))
    call = PythonCall(lt.BIGINT, "fragile", function_of(fragile), (InputRef(lt.BIGINT, 0),))
    yield CalcSpec(row, row, (call,)), made


def test_an_operator_calls_each_row_once_and_names_itself(broken: tuple[CalcSpec, Counter[int]]) -> None:
    spec, made = broken
    with OperatorHarness(spec, configuration={"table.exec.async-scalar.max-attempts": 0}) as harness:
        harness.push_batch(batch_of(spec.input, [(n,) for n in range(5)]))
        assert harness.changelog == [("+I", (n,)) for n in range(5)]
        with pytest.raises(UserCodeError, match=r"operator '.*': the function fragile .*failed on \(7,\)"):
            harness.push_batch(batch_of(spec.input, [(n,) for n in range(5, 9)]))
    assert set(made.values()) == {1}, "no call was made again to find the row"


@pytest.mark.parametrize("kind", ["generator", "vector"])
def test_what_cannot_be_asynchronous_is_refused(kind: str) -> None:
    async def rows(n: int) -> Iterator[int]:  # type: ignore[misc]
        yield n

    async def whole(n: pa.Array) -> int:
        return n

    with pytest.raises(Exception, match="asynchronous generator" if kind == "generator" else "takes columns and is an"):
        as_function("f", rows if kind == "generator" else whole)

"""Calls of asynchronous functions: those of a batch run side by side, a bounded number at a time, and answer in order.

A batch is done when all its calls are. So nothing is under way when a barrier passes, and nothing of it is state: after
a failure the rows of the batch come again. The event loop lives as long as the operator, for clients of services keep
their connections in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from millstream.core.errors import UserCodeError

Call = Callable[..., Awaitable[Any]]
Explain = Callable[[Exception, Any], Exception]
"""``(what a call raised, its arguments) -> what the user is told``."""

_PREFIX: Final = "table.exec.async-scalar."
_ROWS_A_CALL: Final = 2
"""Of a step, so that fast answers make up for slow ones, and yet a barrier waits for few answers."""


@dataclass(frozen=True)
class AsyncSettings:
    """The settings ``table.exec.async-scalar.*``."""

    concurrent_max: int = 10
    timeout_ms: int = 180_000
    """Of a call with all its retries."""
    retries_max: int = 3
    retry_delay_ms: int = 100

    @staticmethod
    def of(settings: Mapping[str, Any]) -> AsyncSettings:
        """From flattened settings, durations in milliseconds."""
        default = AsyncSettings()
        fixed = str(settings.get(f"{_PREFIX}retry-strategy", "FIXED_DELAY")) == "FIXED_DELAY"
        return AsyncSettings(
            int(settings.get(f"{_PREFIX}max-concurrent-operations", default.concurrent_max)),
            int(settings.get(f"{_PREFIX}timeout", default.timeout_ms)),
            int(settings.get(f"{_PREFIX}max-attempts", default.retries_max)) if fixed else 0,
            int(settings.get(f"{_PREFIX}retry-delay", default.retry_delay_ms)),
        )


class CallTimeout(Exception):
    """A call did not answer in time."""


class CallFailed(UserCodeError):
    """A call failed for good. The row is known: whoever looks for it need not call the function again."""


class AsyncCalls:
    """The event loop of one operator. Used by one thread, which waits for the answers."""

    def __init__(self, settings: AsyncSettings) -> None:
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def rows_together(self) -> int:
        """How many rows keep its calls busy; 1 where there have been none."""
        return 1 if self._loop is None else _ROWS_A_CALL * self._settings.concurrent_max

    def answers(self, call: Call, rows: Sequence[tuple[Any, ...]], explain: Explain) -> list[Any]:
        """One answer a row. Raises what ``explain`` makes of the failure of the first row that failed for good; the
        calls under way are cancelled then, and the others not made."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(self._all(call, rows, explain))

    def close(self) -> None:
        """Cancel what the functions started beside their answers."""
        loop, self._loop = self._loop, None
        if loop is not None:
            try:
                loop.run_until_complete(_ended(loop))
            finally:
                loop.close()

    async def _all(self, call: Call, rows: Sequence[tuple[Any, ...]], explain: Explain) -> list[Any]:
        answers: list[Any] = [None] * len(rows)
        upcoming = iter(enumerate(rows))
        workers = [
            asyncio.ensure_future(self._work(upcoming, answers, call, explain))
            for _ in range(min(self._settings.concurrent_max, len(rows)))
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return answers

    async def _work(
        self, upcoming: Iterator[tuple[int, tuple[Any, ...]]], answers: list[Any], call: Call, explain: Explain
    ) -> None:
        for place, row in upcoming:
            try:
                answers[place] = await self._answer(call, row)
            except Exception as error:
                raise explain(error, row) from error

    async def _answer(self, call: Call, row: tuple[Any, ...]) -> Any:
        settings = self._settings
        failures: list[Exception] = []
        try:
            async with asyncio.timeout(settings.timeout_ms / 1000):
                while True:
                    try:
                        return await call(*row)
                    except Exception as error:
                        failures.append(error)
                        if len(failures) > settings.retries_max:
                            raise
                    await _pause(settings.retry_delay_ms / 1000)
        except TimeoutError as error:
            if failures and error is failures[-1]:
                raise  # the function's own
            told = f" after {len(failures)} that failed, the last with {failures[-1]!r}" if failures else ""
            raise CallTimeout(
                f"no answer within {settings.timeout_ms / 1000:g} s (table.exec.async-scalar.timeout){told}"
            ) from error


async def _ended(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


async def _pause(seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()

"""The enumerator that most bounded sources need: a queue of splits, one handed out for each request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from millstream.core.api.source import EnumeratorContext, SplitEnumerator

SplitT = TypeVar("SplitT")


class SplitQueueEnumerator(SplitEnumerator[SplitT]):
    """Hands out the splits that ``discover`` finds at start, in order; then there are no more.

    Whoever asks first gets the next split, so a slow reader gets fewer of them.
    """

    takes_out = True

    def __init__(
        self,
        context: EnumeratorContext,
        discover: Callable[[int], Iterable[SplitT]],
    ) -> None:
        self._context = context
        self._discover: Callable[[int], Iterable[SplitT]] | None = discover
        self._queue: deque[SplitT] = deque()

    def start(self) -> None:
        if self._discover is not None:
            self._queue.extend(self._discover(self._context.parallelism))
            self._discover = None

    def handle_split_request(self, subtask: int) -> None:
        if self._queue:
            self._context.assign([self._queue.popleft()], subtask)
        else:
            self._context.no_more_splits(subtask)

    def add_splits_back(self, splits: list[SplitT], subtask: int) -> None:
        self._queue.extendleft(reversed(splits))

    def take_out(self, splits: list[SplitT]) -> None:
        for split in splits:
            self._queue.remove(split)

    def snapshot_state(self) -> Any:
        return list(self._queue)

    @classmethod
    def restored(cls, context: EnumeratorContext, state: list[SplitT]) -> SplitQueueEnumerator[SplitT]:
        """An enumerator that goes on with the splits of ``snapshot_state``."""
        return cls(context, lambda _: state)

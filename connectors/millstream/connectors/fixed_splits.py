"""The enumerator of generators: each subtask has its own splits, whoever asks first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from millstream.core.api.source import EnumeratorContext, SplitEnumerator

SplitT = TypeVar("SplitT")


class FixedSplitEnumerator(SplitEnumerator[SplitT]):
    """Deals out what ``discover(parallelism)`` gives in turn: split i to subtask i modulo the parallelism.

    Splits that run side by side in event time need this: a reader that took a second one after its first would go
    back in time.
    """

    def __init__(self, context: EnumeratorContext, discover: Callable[[int], Iterable[SplitT]]) -> None:
        self._context = context
        self._discover: Callable[[int], Iterable[SplitT]] | None = discover
        self._waiting: dict[int, list[SplitT]] = {}

    def start(self) -> None:
        if self._discover is None:
            return
        parallelism = self._context.parallelism
        for i, split in enumerate(self._discover(parallelism)):
            self._waiting.setdefault(i % parallelism, []).append(split)
        self._discover = None

    def handle_split_request(self, subtask: int) -> None:
        splits = self._waiting.pop(subtask, None)
        if splits:
            self._context.assign(splits, subtask)
        else:
            self._context.no_more_splits(subtask)

    def add_splits_back(self, splits: list[SplitT], subtask: int) -> None:
        self._waiting[subtask] = [*splits, *self._waiting.get(subtask, [])]

    def snapshot_state(self) -> Any:
        return [split for subtask in sorted(self._waiting) for split in self._waiting[subtask]]

    @classmethod
    def restored(cls, context: EnumeratorContext, state: list[SplitT]) -> FixedSplitEnumerator[SplitT]:
        """An enumerator that goes on with the splits of ``snapshot_state``."""
        return cls(context, lambda _: state)

"""Watching directories: files that were not there before are read, in the order of their names, without end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from millstream.connectors.files.split import FileSplit
from millstream.core.api.source import EnumeratorContext, SplitEnumerator


class NewFilesEnumerator(SplitEnumerator[FileSplit]):
    """Lists the files when a reader asks and nothing is queued; tells it to ask again later when none is new.

    A file is read once, as it is when it is found: put files there whole, by renaming. A file stays known by its path
    as long as the job lives, also in its checkpoints.
    """

    def __init__(
        self,
        context: EnumeratorContext,
        files: Callable[[], list[Path]],
        splits_of: Callable[[Path, int], list[FileSplit]],
        interval_ms: int,
        state: Any = None,
    ) -> None:
        """``state``: what ``snapshot_state`` returned, to go on from."""
        self._context = context
        self._files = files
        self._splits_of = splits_of
        self._interval_ms = interval_ms
        self._queue: deque[FileSplit] = deque(state["queue"] if state else ())
        self._known: set[str] = set(state["known"] if state else ())

    def start(self) -> None:
        self._discover()

    def handle_split_request(self, subtask: int) -> None:
        if not self._queue:
            self._discover()
        if self._queue:
            self._context.assign([self._queue.popleft()], subtask)
        else:
            self._context.ask_later(subtask, self._interval_ms)

    def add_splits_back(self, splits: list[FileSplit], subtask: int) -> None:
        self._queue.extendleft(reversed(splits))

    def snapshot_state(self) -> Any:
        return {"queue": list(self._queue), "known": sorted(self._known)}

    def _discover(self) -> None:
        for file in self._files():
            if str(file) not in self._known:
                self._known.add(str(file))
                self._queue.extend(self._splits_of(file, self._context.parallelism))

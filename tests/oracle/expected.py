"""What a checkpoint of the chaos job must hold, computed from the number of keys and records by plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from millstream.core.elements.control import MAX_WATERMARK_MS, MIN_WATERMARK_MS
from millstream.testing.sequence import SPLITS, SequenceSplit
from tests.chaos.job import BATCH_ROWS, MILLISECONDS_APART, WINDOW_RECORDS, Load
from tests.oracle.held import Held, Record
from tests.oracle.tables import WINDOW_MS

Emitted = npt.NDArray[np.bool_]
"""By key and number of the record, or of the window: whether its row has come to the sink."""
OUT_OF_ORDER_MS: Final = BATCH_ROWS * MILLISECONDS_APART


class Prefix:
    """The input up to the offsets of a checkpoint, of one source."""

    def __init__(self, load: Load, unread: Iterable[SequenceSplit]) -> None:
        self.problems: list[str] = []
        splits = min(SPLITS, load.keys)
        keys = [tuple(range(load.keys))[number::splits] for number in range(splits)]
        positions = [len(of_split) * load.records_per_key for of_split in keys]  # of one that has been read
        found: Counter[int] = Counter()
        for split in unread:
            found[split.number] += 1
            if split.keys != keys[split.number] or not 0 <= split.position <= positions[split.number]:
                self.problems.append(f"there is no such split: {split}")
            positions[split.number] = split.position
        self.problems += [f"split {number} is there {n} times" for number, n in found.items() if n > 1]
        self.records = [0] * load.keys
        """How many of each key."""
        self.watermark_ms = MAX_WATERMARK_MS
        """The highest that the records can have made: the least of the splits that are not read to their end."""
        for of_split, position in zip(keys, positions, strict=True):
            if position < len(of_split) * load.records_per_key:
                newest_ms = (position - 1) // len(of_split) * MILLISECONDS_APART
                self.watermark_ms = min(self.watermark_ms, newest_ms - OUT_OF_ORDER_MS - 1)
            for place, key in enumerate(of_split):
                self.records[key] = (position - place + len(of_split) - 1) // len(of_split)


class Expected:
    """Compares what a checkpoint holds with the fold of its input; ``problems`` tells each difference."""

    def __init__(self, load: Load, held: Held) -> None:
        self._load = load
        self._held = held
        self.problems: list[str] = []
        self._read = {uid: Prefix(load, held.unread.get(uid, [])) for uid in ("numbers", "numbers again")}
        for uid, prefix in self._read.items():
            self.problems += [f"{uid}: {problem}" for problem in prefix.problems]
        self.counts = self._counts(self._read["numbers"])
        """The rows of the running count that must be committed or prepared."""
        self.windows = self._windows(self._read["numbers again" if load.regions else "numbers"])
        """The windows likewise."""
        if held.timers:
            self.problems.append(f"{held.timers} timers, though nobody has set one")

    # -- the running count --------------------------------------------------------------------------------------------

    def _counts(self, prefix: Prefix) -> Emitted:
        rows = dict(self._held.counts)
        if len(rows) != len(self._held.counts):
            self.problems.append("counts: a key has several rows")
        waiting = self._waiting("counts")
        unfired = by_key(self._held.unfired)
        emitted = np.zeros((self._load.keys, self._load.records_per_key), np.bool_)
        for key, read in enumerate(prefix.records):
            count, total = rows.pop(key, (0, 0))
            if key in self._held.finished.get("counts", ()):
                count, total = self._load.records_per_key, sum(range(self._load.records_per_key))
            if total != sum(range(count)):
                self.problems.append(f"counts: key {key} has sum {total} after {count} records")
            inside = sorted(unfired.pop(key, []))
            if self._load.sql:
                self._check_unfired(key, count, inside, read, prefix)
            self._check_waiting("counts", key, count + len(inside), waiting.get(key, []), read)
            emitted[key, :count] = True
        if rows or unfired:
            self.problems.append(f"counts: no record has the keys {sorted({*rows, *unfired})}")
        for row in self._held.waiting_rows.get("counts sink", []):
            if row[:2] == (row[0], row[1]) and emitted[row[0], row[1]]:
                emitted[row[0], row[1]] = False
            else:
                self.problems.append(f"counts sink: {row} waits for it, which is not in the state or is there twice")
        return emitted

    def _check_unfired(self, key: int, count: int, inside: list[int], read: int, prefix: Prefix) -> None:
        """A query counts a record when the watermark has passed it: ``count`` are counted, ``inside`` wait for that."""
        if inside != list(range(count, count + len(inside))):
            self.problems.append(f"counts: of key {key} {count} records are counted, but those wait: {inside[:3]} ...")
        if count and (count - 1) * MILLISECONDS_APART > prefix.watermark_ms:
            limit = f"the watermark can be {prefix.watermark_ms} ms"
            self.problems.append(f"counts: record {count - 1} of key {key} cannot have been counted: {limit}")
        passed_ms = self._held.watermarks.get("counts", [MIN_WATERMARK_MS])
        if inside and inside[0] * MILLISECONDS_APART <= min(passed_ms):
            self.problems.append(f"counts: record {inside[0]} of key {key} waits, and the watermark has passed it")
        if read < self._load.records_per_key and read * MILLISECONDS_APART <= max(passed_ms):
            self.problems.append(f"counts: record {read} of key {key} will be late: watermark {max(passed_ms)} ms")

    # -- the windows --------------------------------------------------------------------------------------------------

    def _windows(self, prefix: Prefix) -> Emitted:
        found: dict[tuple[int, int], tuple[int, ...]] = {}
        for start, key, content in self._held.windows:
            if (key, start // WINDOW_MS) in found:
                self.problems.append(f"windows: key {key} has the window at {start} ms twice")
            found[key, start // WINDOW_MS] = content
        waiting = self._waiting("windows")
        watermark_ms = max(self._held.watermarks.get("windows", []), default=MIN_WATERMARK_MS)
        emitted = np.zeros((self._load.keys, self._load.records_per_key // WINDOW_RECORDS), np.bool_)
        for key, read in enumerate(prefix.records):
            processed = read - len(waiting.get(key, []))
            self._check_waiting("windows", key, processed, waiting.get(key, []), read)
            for window in range(-(-processed // WINDOW_RECORDS)):
                numbers = range(window * WINDOW_RECORDS, min(processed, (window + 1) * WINDOW_RECORDS))
                content = found.pop((key, window), None)
                if content is None:
                    if len(numbers) < WINDOW_RECORDS or _end_ms(window) > prefix.watermark_ms:
                        self.problems.append(
                            f"windows: that of key {key} with the records {numbers} is missing, and cannot have fired: "
                            f"the watermark can be {prefix.watermark_ms} ms"
                        )
                    emitted[key, window] = True
                elif content != (key, numbers.start, len(numbers), sum(numbers)):
                    self.problems.append(f"windows: key {key} has {content}, but the records {numbers} were read")
            if read < self._load.records_per_key and _end_ms(read // WINDOW_RECORDS) <= watermark_ms:
                self.problems.append(f"windows: record {read} of key {key} will be late: watermark {watermark_ms} ms")
        if found:
            self.problems.append(f"windows: nothing of {sorted(found)[:3]} has been read")
        for row in self._held.waiting_rows.get("windows sink", []):
            if emitted[row[0], row[1] // WINDOW_RECORDS]:
                emitted[row[0], row[1] // WINDOW_RECORDS] = False
            else:
                self.problems.append(f"windows sink: {row} waits for it, but the window has not fired, or fired twice")
        return emitted

    # -- records on their way -----------------------------------------------------------------------------------------

    def _waiting(self, stage: str) -> dict[int, list[int]]:
        return by_key(self._held.waiting.get(stage, []))

    def _check_waiting(self, stage: str, key: int, processed: int, waiting: list[int], read: int) -> None:
        """What was processed and what waits must be what was read: all of it, once, in order."""
        if waiting != list(range(processed, read)):
            told = f"{len(waiting)} from {waiting[0]} to {waiting[-1]}" if waiting else "none"
            self.problems.append(
                f"{stage}: of key {key} {read} records were read and {processed} processed, but {told} wait"
            )


def by_key(records: Iterable[Record]) -> dict[int, list[int]]:
    """The numbers of the records of each key, in their order."""
    found: dict[int, list[int]] = {}
    for key, number in records:
        found.setdefault(key, []).append(number)
    return found


def _end_ms(window: int) -> int:
    """The last millisecond of a window."""
    return (window + 1) * WINDOW_MS - 1

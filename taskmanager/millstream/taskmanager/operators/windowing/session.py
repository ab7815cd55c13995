"""The fast operator for session windows with the default trigger and no evictor.

A key has few open sessions, nearly always one, so they are a short list a key; a record mostly extends one in place.
Timers are lazy: a session that grows keeps its old entry in the heap, and when that comes up it is moved to the
session's present end. So a record costs no timer at all, where the general operator deletes and registers two.

Neighbours: ``general`` does the same for any trigger and merging assigner, with the same results in the same order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from millstream.core.api.windowing.duration import duration_ms
from millstream.core.api.windowing.sessions import SessionAssigner, SessionWindowTimeGapExtractor
from millstream.core.api.windowing.time_assigners import missing_event_time
from millstream.core.api.windowing.window import TimeWindow
from millstream.core.elements.batch import NO_TIMESTAMP_MS, Batch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark
from millstream.core.graph.specs import ChainedOperator, WindowSpec
from millstream.taskmanager.operators.windowing.grouped_rows import GroupedRows
from millstream.taskmanager.operators.windowing.keyed_base import KeyedWindowOperator


class Session:
    """One open session of one key: times in ``[start, end)``."""

    __slots__ = ("alive", "content", "end", "fired", "key", "order", "start")

    def __init__(self, key: Any, start: int, end: int, order: int, content: Any) -> None:
        self.key = key
        self.start = start
        self.end = end
        self.order = order
        """Counts up with every change of start or end; sessions that end together fire in this order."""
        self.content = content
        self.fired = False
        self.alive = True

    def __lt__(self, other: Session) -> bool:
        return self.start < other.start


class SessionWindowOperator(KeyedWindowOperator):
    """Runs a ``WindowSpec`` whose assigner is a ``SessionAssigner``."""

    def __init__(self, chained: ChainedOperator, spec: WindowSpec) -> None:
        super().__init__(chained, spec)
        assigner = spec.assigner
        assert isinstance(assigner, SessionAssigner)
        self._gap_ms = assigner.gap_ms or 0
        extractor = assigner.extractor
        self._extract: Callable[[Any], Any] | None = (
            extractor.extract if isinstance(extractor, SessionWindowTimeGapExtractor) else extractor
        )
        self._event_time = assigner.is_event_time()
        self._lateness_ms = spec.allowed_lateness_ms if self._event_time else 0
        self._sessions: dict[Any, list[Session]] = {}
        self._due: list[tuple[int, int, Session]] = []  # (time, order, session), a heap; may lag behind the session
        self._next_order = 0

    # -- records ------------------------------------------------------------------------------------------------

    def process(self, batch: Batch, input_index: int) -> None:
        values, keys = self.rows_and_keys(batch)
        if not self._event_time:
            times = [self.context.clock.wall_ms()] * len(values)
        elif batch.timestamps is None:
            times = [NO_TIMESTAMP_MS] * len(values)
        else:
            times = batch.timestamps.tolist()
        add, extract, gap_ms = self.contents.add, self._extract, self._gap_ms
        over_ms = self.watermark_ms + 1 if self._event_time else MIN_WATERMARK_MS
        sessions_of = self._sessions.get
        value: Any = None
        try:
            for key, value, start in zip(keys, values, times, strict=True):
                if start == NO_TIMESTAMP_MS:
                    raise missing_event_time(value)
                end = start + (gap_ms if extract is None else duration_ms(extract(value), "the session gap"))
                sessions = sessions_of(key)
                if sessions is not None and len(sessions) == 1:
                    session = sessions[0]
                    if session.start <= start <= session.end and session.end > over_ms:
                        # By far the most frequent case: the record continues the key's only session.
                        if end > session.end:
                            session.end = end
                            session.order = self._take_order()
                        session.content = add(session.content, value)
                        continue
                self._join(key, value, start, end)
        except Exception as error:
            raise self.failed(error, value) from error
        self.emission.flush()

    def _join(self, key: Any, value: Any, start: int, end: int) -> None:
        """Any case: a new session, one that grows at either side, several that become one, a late record."""
        sessions = self._sessions.get(key, [])
        touching = [s for s in sessions if s.start <= end and start <= s.end]
        if not touching:
            if self._event_time and end - 1 + self._lateness_ms <= self.watermark_ms:
                self.late.take(value, start)
                return
            session = Session(key, start, end, self._take_order(), self.contents.first(value))
            self._sessions.setdefault(key, []).append(session)
            self._changed(session, is_new=True)
        else:
            session = self._merge(sessions, sorted(touching), start, end)
            session.content = self.contents.add(session.content, value)
        if self._is_over(session):
            self._emit(session)

    def _merge(self, sessions: list[Session], touching: list[Session], start: int, end: int) -> Session:
        """Grow the first of ``touching`` (by start) over the others and over [start, end)."""
        first = touching[0]
        for other in touching[1:]:
            first.content = self.contents.merge(first.content, other.content)
            end = max(end, other.end)
            other.alive = False
            sessions.remove(other)
        if start < first.start or end > first.end:
            first.start, first.end = min(first.start, start), max(first.end, end)
            first.order = self._take_order()
            self._changed(first, is_new=False)
        return first

    def _changed(self, session: Session, is_new: bool) -> None:
        """Make sure that the heap has an entry no later than the session's next action."""
        fired_before, session.fired = session.fired, self._is_over(session)
        if is_new or fired_before != session.fired:
            self._enter(session)

    def _enter(self, session: Session) -> None:
        due_ms = self._due_ms(session)
        if not self._event_time and (not self._due or due_ms < self._due[0][0]):
            self.context.schedule(due_ms + 1)
        heapq.heappush(self._due, (due_ms, session.order, session))

    def _due_ms(self, session: Session) -> int:
        return session.end - 1 + (self._lateness_ms if session.fired else 0)

    def _is_over(self, session: Session) -> bool:
        return self._event_time and session.end - 1 <= self.watermark_ms

    def _take_order(self) -> int:
        self._next_order += 1
        return self._next_order - 1

    # -- time ---------------------------------------------------------------------------------------------------

    def process_watermark(self, watermark: Watermark) -> None:
        self.watermark_ms = max(self.watermark_ms, watermark.timestamp_ms)
        if self._event_time:
            self._fire_until(watermark.timestamp_ms)
        super().process_watermark(watermark)

    def on_processing_time(self, now_ms: int) -> None:
        super().on_processing_time(now_ms)
        if not self._event_time:
            # A session [s, e) is over when the clock shows e: at e - 1 a record may still extend it.
            self._fire_until(now_ms - 1)
            self.schedule_restored()

    def _fire_until(self, time_ms: int) -> None:
        while self._due and self._due[0][0] <= time_ms:
            entered_ms, order, session = heapq.heappop(self._due)
            if not session.alive:
                continue
            if (entered_ms, order) != (self._due_ms(session), session.order):
                self._enter(session)  # it has grown since; its turn comes later
                continue
            self.context.metrics.timers_fired += 1
            if not session.fired:
                session.fired = True
                self._emit(session)
                if self._lateness_ms:
                    self._enter(session)
                    continue
            self._drop(session)
        self.emission.flush()

    def _emit(self, session: Session) -> None:
        self.fire(session.key, TimeWindow(session.start, session.end), session.content)

    def _drop(self, session: Session) -> None:
        session.alive = False
        sessions = self._sessions[session.key]
        sessions.remove(session)
        if not sessions:
            del self._sessions[session.key]
        if self.function is not None:
            self.function.clear(session.key, TimeWindow(session.start, session.end))

    # -- state --------------------------------------------------------------------------------------------------

    def entry_count(self) -> int:
        return len(self._sessions)

    def snapshot_contents(self, groups: GroupedRows) -> None:
        """One row a session: (order, key, start, end, fired, content)."""
        freeze = self.contents.frozen
        for key, sessions in self._sessions.items():
            rows = [(s.order, key, s.start, s.end, s.fired, freeze(s.content)) for s in sessions]
            groups.add_rows([key] * len(rows), rows)

    def restore_contents(self, rows: list[Any]) -> None:
        for _, key, start, end, fired, content in sorted(rows, key=lambda row: row[0]):
            session = Session(key, start, end, self._take_order(), self.contents.frozen(content))
            session.fired = fired
            self._sessions.setdefault(key, []).append(session)
            heapq.heappush(self._due, (self._due_ms(session), session.order, session))

    def schedule_restored(self) -> None:
        if not self._event_time and self._due:
            self.context.schedule(self._due[0][0] + 1)

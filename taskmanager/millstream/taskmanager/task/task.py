"""One subtask: reads its gates, drives its operator chain, writes its partitions.

A task does nothing by itself. The task loop asks ``is_runnable`` and calls ``step``, which handles one element: one
batch (or as many of its rows as ``StepPace`` allows), or one watermark. Everything runs on the loop's thread; only
``wake_up`` may be called from another.
An exception in a step ends the task as FAILED; the JobManager then cancels the others.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from millstream.core.clock import Clock
from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.elements.control import (
    MAX_WATERMARK_MS,
    Barrier,
    Element,
    EndOfData,
    LatencyMarker,
    Watermark,
    WatermarkStatus,
)
from millstream.core.event_time.merger import WatermarkMerger
from millstream.core.failpoints import failpoint
from millstream.core.protocol_log import record
from millstream.taskmanager.checkpointing.services import CheckpointServices
from millstream.taskmanager.checkpointing.task_checkpoints import TaskCheckpoints
from millstream.taskmanager.network.gate import InputGate
from millstream.taskmanager.network.partition import ResultPartition
from millstream.taskmanager.operators.operator import SourceOperator
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.task.chain import OperatorChain
from millstream.taskmanager.task.context import SubtaskInfo
from millstream.taskmanager.task.pace import StepPace
from millstream.taskmanager.task.phase import ENDED, TaskPhase, check_edge
from millstream.taskmanager.task.time_account import TimeAccount, Waiting

if TYPE_CHECKING:
    from millstream.taskmanager.task.loop import TaskLoop


class Task:
    """The subtask ``info``; wired by ``millstream.taskmanager.task.deploy``."""

    def __init__(self, info: SubtaskInfo, clock: Clock, loop: TaskLoop, checkpoints: CheckpointServices) -> None:
        self.info = info
        self.phase = TaskPhase.CREATED
        self.error: BaseException | None = None
        self.chain = OperatorChain()
        self.gates: list[InputGate] = []
        self.partitions: list[ResultPartition] = []
        self.time = TimeAccount(clock.monotonic_s())
        self.pace = StepPace()
        self.batches_in = 0
        self._clock = clock
        self._loop = loop
        self._timers: list[tuple[int, int]] = []  # (wall_ms, operator index), a heap
        self._merger = WatermarkMerger(0)
        self._channel_offsets: list[int] = []
        self._services = checkpoints
        self.checkpoints = TaskCheckpoints(self, [], checkpoints, clock, self.wake_up)
        self._deferred: Barrier | None = None
        self._open_inputs: set[int] = set()
        self._next_gate = 0
        self._pending: deque[tuple[InputGate, int, int, Batch]] = deque()
        """``(gate, edge, producer, batch)`` to be processed before anything else is polled: rows of the last batch that
        its step did not take, and what was in flight in the checkpoint that the task starts from."""
        self._rows_of_step = 0
        self.stepped_s = float("-inf")
        """When its last step ended, in seconds of the monotonic clock."""
        self._poll_wanted = True
        self.reads: list[tuple[int, int, int]] = []
        """Edge, producer and attempt of all that it is connected to."""
        self._opened = 0
        self._source: SourceOperator | None = None

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, chain: OperatorChain, gates: list[InputGate], partitions: list[ResultPartition]) -> None:
        """Open all operators, the last first, so that each finds its consumers ready."""
        self.chain, self.gates, self.partitions = chain, gates, partitions
        channels = 0
        for gate in gates:
            self._channel_offsets.append(channels)
            channels += gate.num_channels
        self._merger = WatermarkMerger(channels)
        self.checkpoints = TaskCheckpoints(self, gates, self._services, self._clock, self.wake_up)
        self._open_inputs = {gate.input_index for gate in gates}
        for member in reversed(chain.members):
            self._opened += 1
            member.operator.open(member.context, member.output)
        head = chain.head.operator
        self._source = head if isinstance(head, SourceOperator) else None
        self._become(TaskPhase.RUNNING)

    def cancel(self) -> None:
        """Stop at once, between two steps. Idempotent."""
        if self.phase not in ENDED:
            self._end(TaskPhase.CANCELED)

    def fail(self, error: BaseException) -> None:
        """End as FAILED because of ``error``; the first error wins."""
        if self.phase not in ENDED:
            self.error = error
            self._end(TaskPhase.FAILED)

    def wake_up(self) -> None:
        """Look at this task again soon; safe from any thread."""
        self._poll_wanted = True
        self._loop.reactor.wake_up()

    # -- running ------------------------------------------------------------------------------------------------

    @property
    def is_source(self) -> bool:
        """It reads from outside, not from other tasks."""
        return self._source is not None

    def is_runnable(self, now_ms: int) -> bool:
        """True when a step would do something now."""
        if self._output_failed():
            return True
        if self.phase is TaskPhase.DRAINING:
            return self._is_drained() or self._timer_due(now_ms)
        if self.phase is not TaskPhase.RUNNING:
            return False
        if self.checkpoints.is_due():
            return True
        if not self.has_room():
            return False
        if self._timer_due(now_ms):
            return True
        if self._source is not None:
            return self._poll_wanted or self._source.is_finished()
        if not all(member.operator.is_ready() for member in self.chain.members):
            return False
        return bool(self._pending) or any(gate.has_data() for gate in self.gates) or not self._open_inputs

    def waiting(self) -> Waiting:
        """Why the task is not runnable."""
        return Waiting.INPUT if self.has_room() and self.phase is TaskPhase.RUNNING else Waiting.OUTPUT

    def step(self, now_ms: int) -> None:
        """Handle one element. Exceptions of operators are the task's end, not the loop's."""
        try:
            self._raise_output_failure()
            if self.checkpoints.is_due():
                self.checkpoints.run()
            elif not self.has_room() and self.phase is TaskPhase.RUNNING:
                return
            elif self._timer_due(now_ms):
                self._run_timers(now_ms)
            elif self.phase is TaskPhase.DRAINING:
                if self._is_drained():
                    self._end(TaskPhase.FINISHED)
            elif self._source is not None:
                self._step_source(self._source)
            elif self._open_inputs or self._pending:
                self._step_input()
            else:
                self._finish()
        except Exception as error:  # whatever an operator raises ends this task only
            self.fail(error)

    def account(self, started_s: float, ended_s: float) -> None:
        """The last step ran between these two times of the monotonic clock."""
        self.stepped_s = ended_s
        self.time.step(started_s, ended_s)
        self.pace.observe(self._rows_of_step, ended_s - started_s)
        self._rows_of_step = 0

    def trigger_checkpoint(self, barrier: Barrier, drain: bool = False) -> None:
        """Take a snapshot between two steps: a source does, and a task whose producers have all finished.

        ``drain``: a source ends its input with this checkpoint.
        """
        if self.phase not in (TaskPhase.RUNNING, TaskPhase.DRAINING):
            return
        if self._source is not None and drain and not self._source.is_finished():
            self._guarded(self._source.drain)
            self._poll_wanted = True
        if self._source is not None or not self._open_inputs:
            self._guarded(self.checkpoints.trigger, barrier)
        else:
            self._deferred = barrier  # the ends of its inputs are still on their way

    def checkpoint_completed(self, checkpoint_id: int) -> None:
        """The whole job's state is durable."""
        failpoint("commit.told")
        if self.phase in (TaskPhase.RUNNING, TaskPhase.DRAINING):
            for member in self.chain.members:
                self._guarded(member.operator.checkpoint_completed, checkpoint_id)

    def checkpoint_aborted(self, checkpoint_id: int) -> None:
        """The checkpoint will not be: wait for no further barrier of it."""
        self._guarded(self.checkpoints.aborted, checkpoint_id)
        if self.phase in (TaskPhase.RUNNING, TaskPhase.DRAINING):
            for member in self.chain.members:
                self._guarded(member.operator.checkpoint_aborted, checkpoint_id)

    def advance_checkpoints(self) -> bool:
        """A slice of what checkpoints take of the state; False when there is nothing to do now."""
        if not self.checkpoints.is_busy or self.phase in ENDED:
            return False
        try:
            return self.checkpoints.advance()
        except Exception as error:  # as in a step
            self.fail(error)
            return False

    def _guarded(self, action: Callable[..., None], *arguments: Any) -> None:
        if self.phase in ENDED:
            return
        try:
            action(*arguments)
        except Exception as error:  # as in a step
            self.fail(error)

    def next_timer_ms(self) -> int | None:
        """Wall-clock milliseconds of the next processing-time timer."""
        return self._timers[0][0] if self._timers else None

    def flush(self) -> None:
        """Send what partitions hold back for larger batches; called when the task has nothing else to do."""
        for partition in self.partitions:
            partition.flush()

    def next_flush_s(self) -> float | None:
        """Monotonic seconds at which a partition wants to be flushed."""
        deadlines = [d for partition in self.partitions if (d := partition.flush_deadline()) is not None]
        return min(deadlines, default=None)

    def deliver(self, operator_id: str, kind: str, payload: bytes) -> bool:
        """An operator event from the JobManager. False when the task has no such operator or has ended."""
        if self.phase is not TaskPhase.RUNNING:
            return False
        for member in self.chain.members:
            if member.chained.operator_id == operator_id:
                self._poll_wanted = True
                try:
                    member.operator.handle_event(kind, payload)
                except Exception as error:
                    self.fail(error)
                return True
        return False

    # -- TaskServices -------------------------------------------------------------------------------------------

    def schedule(self, operator_index: int, wall_ms: int) -> None:
        heapq.heappush(self._timers, (wall_ms, operator_index))

    def send_to_coordinator(
        self, operator_id: str, kind: str, payload: bytes, reply: Callable[[bool, bytes], None]
    ) -> None:
        def guarded(accepted: bool, answer: bytes) -> None:
            if self.phase in ENDED:
                return
            self._poll_wanted = True
            try:
                reply(accepted, answer)
            except Exception as error:
                self.fail(error)

        self._loop.send_event(self, operator_id, kind, payload, guarded)

    # -- steps --------------------------------------------------------------------------------------------------

    def _step_source(self, source: SourceOperator) -> None:
        if source.is_finished():
            self._finish()
            return
        self._poll_wanted = False
        source.rows_wanted = self._rows_max()
        rows_before = source.rows_read
        if source.poll():
            self._poll_wanted = True
            self.batches_in += 1
            self._rows_of_step = source.rows_read - rows_before

    def _step_input(self) -> None:
        if self._pending:
            gate, edge_id, producer, batch = self._pending.popleft()
            self._process(gate, edge_id, producer, batch)
            return
        for _ in self.gates:
            gate = self.gates[self._next_gate]
            offset = self._channel_offsets[self._next_gate]
            self._next_gate = (self._next_gate + 1) % len(self.gates)
            polled = gate.poll()
            if polled is not None:
                number, element = polled
                self._handle(gate, number, offset + number, element)
                return

    def _handle(self, gate: InputGate, number: int, channel: int, element: Element) -> None:
        head = self.chain.head
        match element:
            case ObjectBatch() | ArrowBatch():
                self.batches_in += 1
                self.checkpoints.batch_polled(channel, element)
                self._process(gate, *gate.sources[number], element)
            case Watermark():
                self._advance(self._merger.update(channel, element))
            case WatermarkStatus():
                self._advance(self._merger.set_idle(channel, element.idle))
            case LatencyMarker():
                head.operator.process_latency_marker(element)
            case EndOfData():
                self._advance(self._merger.update(channel, Watermark(MAX_WATERMARK_MS)))
                self.checkpoints.channel_ended(channel)
                if gate.all_ended() and gate.input_index in self._open_inputs:
                    self._open_inputs.discard(gate.input_index)
                    head.operator.end_input(gate.input_index)
                if not self._open_inputs and self._deferred is not None:
                    deferred, self._deferred = self._deferred, None
                    self.checkpoints.trigger(deferred)
            case Barrier():
                self.checkpoints.barrier_polled(channel, element)

    # -- for its checkpoints --------------------------------------------------------------------------------------

    def prepare_snapshot(self, barrier: Barrier) -> None:
        for member in self.chain.members:
            member.operator.prepare_snapshot(barrier.checkpoint_id)

    def snapshot_operators(self, barrier: Barrier) -> list[tuple[str, OperatorSnapshot]]:
        snapshots: list[tuple[str, OperatorSnapshot]] = []
        for member in self.chain.members:
            if barrier.base_id:
                member.operator.checkpoint_completed(barrier.base_id)
            snapshot = member.operator.snapshot(barrier.checkpoint_id, barrier.full)
            if snapshot is not None:
                snapshots.append((member.chained.operator_id, snapshot))
        return snapshots

    def pending_batches(self) -> list[tuple[int, int, Batch]]:
        return [(edge_id, producer, batch) for _, edge_id, producer, batch in self._pending]

    def has_output(self) -> bool:
        """After the end of the data nothing follows, unless it overtakes."""
        return self.phase is TaskPhase.RUNNING

    def records_read(self) -> int:
        return self.chain.head.context.metrics.records_in if self._source is None else self._source.rows_read

    def restore_in_flight(self, batches: Iterable[tuple[int, int, Batch]]) -> None:
        """``(edge, producer, batch)``: to be processed before anything that the producers send; before ``start``."""
        gates = {edge_id: gate for gate in self.gates for edge_id, _ in gate.sources}
        self._pending.extend((gates[edge_id], edge_id, producer, batch) for edge_id, producer, batch in batches)

    # -- inner ----------------------------------------------------------------------------------------------------

    def _process(self, gate: InputGate, edge_id: int, producer: int, batch: Batch) -> None:
        """As many rows of ``batch`` as a step may take; the rest waits for the next steps."""
        rows, rows_max = batch.num_rows, self._rows_max()
        if rows > rows_max:
            self._pending.appendleft((gate, edge_id, producer, batch.slice(rows_max, rows)))
            rows = rows_max
            batch = batch.slice(0, rows)
        self._rows_of_step = rows
        head = self.chain.head
        head.context.metrics.records_in += rows
        head.operator.process(batch, gate.input_index)

    def _advance(self, result: Watermark | WatermarkStatus | None) -> None:
        head = self.chain.head
        if isinstance(result, Watermark):
            head.context.metrics.current_watermark_ms = result.timestamp_ms
            head.operator.process_watermark(result)
            if result.timestamp_ms == MAX_WATERMARK_MS:
                record("event-time.passed", **self.info.identity())
        elif result is not None:
            head.operator.process_status(result)

    def _finish(self) -> None:
        for index, member in enumerate(self.chain.members):
            if index > 0:
                member.operator.end_input(0)
            member.operator.finish()
        for partition in self.partitions:
            partition.finish()
        self._become(TaskPhase.DRAINING)

    def _run_timers(self, now_ms: int) -> None:
        due: set[int] = set()
        while self._timers and self._timers[0][0] <= now_ms:
            due.add(heapq.heappop(self._timers)[1])
        self._poll_wanted = True
        for index in sorted(due):
            self.chain.members[index].operator.on_processing_time(now_ms)

    # -- small questions ----------------------------------------------------------------------------------------

    def _rows_max(self) -> int:
        """Of one step."""
        return max(self.pace.rows, *(member.operator.rows_together() for member in self.chain.members))

    def has_room(self) -> bool:
        return all(partition.is_available() for partition in self.partitions)

    def _raise_output_failure(self) -> None:
        for partition in self.partitions:
            if partition.failure is not None:
                raise partition.failure

    def _output_failed(self) -> bool:
        return any(partition.failure is not None for partition in self.partitions)

    def _timer_due(self, now_ms: int) -> bool:
        return bool(self._timers) and self._timers[0][0] <= now_ms

    def _is_drained(self) -> bool:
        if self.checkpoints.is_writing or not all(partition.is_drained() for partition in self.partitions):
            return False
        return not any(member.operator.has_pending() for member in self.chain.members)

    def _become(self, phase: TaskPhase) -> None:
        check_edge(self.phase, phase, str(self.info))
        self.phase = phase
        self._loop.phase_changed(self)

    def _end(self, phase: TaskPhase) -> None:
        try:
            self.checkpoints.close()
        except Exception as error:  # the task ends all the same
            self.error = self.error or error
        for member in self.chain.members[len(self.chain.members) - self._opened :]:
            try:
                member.operator.close()
            except Exception as error:  # closing goes on for the others; the first error is the one to tell
                if self.error is None and phase is TaskPhase.FINISHED:
                    self.error, phase = error, TaskPhase.FAILED
        self._opened = 0
        self._loop.release(self)
        self._become(phase)

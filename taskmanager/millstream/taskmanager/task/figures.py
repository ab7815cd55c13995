"""The figures of a task as protobuf, for progress displays and Prometheus."""

from __future__ import annotations

from dataclasses import dataclass

from millstream.proto.v1 import common_pb2
from millstream.taskmanager.task.context import SubtaskInfo
from millstream.taskmanager.task.task import Task


@dataclass
class _Previous:
    at_s: float
    busy_s: float
    backpressured_s: float
    idle_s: float
    batches_in: int
    records_in: float


class TaskFigures:
    """Turns a task's cumulative numbers into a report; remembers the last one for rates."""

    def __init__(self, task: Task, now_s: float) -> None:
        self._task = task
        self._previous = _Previous(now_s, 0.0, 0.0, 0.0, 0, 0.0)

    def report(self, now_s: float) -> common_pb2.SubtaskMetrics:
        """Values are cumulative; ``*_ms_per_second`` and ``batch_rows`` cover the time since the last report."""
        task, time = self._task, self._task.time
        time.settle(now_s)
        message = common_pb2.SubtaskMetrics(subtask=subtask_ref(task.info))
        values = message.values
        values["busy_ms_total"] = time.busy_s * 1000
        values["backpressured_ms_total"] = time.backpressured_s * 1000
        values["idle_ms_total"] = time.idle_s * 1000
        records_in, records_out = self._operators(message)
        values["records_in_total"] = records_in
        values["records_out_total"] = records_out
        self._network(message)
        self._rates(message, now_s, records_in)
        return message

    def _operators(self, message: common_pb2.SubtaskMetrics) -> tuple[float, float]:
        """Fill in the operators; returns the records that entered the head and left the last of the chain."""
        records_in = records_out = 0.0
        for index, member in enumerate(self._task.chain.members):
            figures = member.context.metrics.snapshot()
            operator = message.operators.add(operator_id=member.chained.operator_id, operator_name=member.chained.name)
            for key, value in figures.items():
                operator.values[key] = value
            if index == 0:
                records_in = figures["records_in_total"] or figures["records_out_total"]
            records_out = figures["records_out_total"]
        return records_in, records_out

    def _network(self, message: common_pb2.SubtaskMetrics) -> None:
        values = message.values
        outputs = [partition.statistics() for partition in self._task.partitions]
        inputs = [gate.statistics() for gate in self._task.gates]
        values["bytes_out_total"] = sum(s.bytes_out for s in outputs)
        values["buffers_out_total"] = sum(s.buffers_out for s in outputs)
        values["output_queue_buffers"] = sum(s.queued_buffers for s in outputs)
        values["credits"] = sum(s.credits for s in outputs)
        values["bytes_in_total"] = sum(s.bytes_in for s in inputs)
        values["buffers_in_total"] = sum(s.buffers_in for s in inputs)
        values["input_queue_buffers"] = sum(s.queued_buffers for s in inputs)

    def _rates(self, message: common_pb2.SubtaskMetrics, now_s: float, records_in: float) -> None:
        time, before = self._task.time, self._previous
        elapsed_s = max(now_s - before.at_s, 1e-3)
        values = message.values
        values["busy_ms_per_second"] = (time.busy_s - before.busy_s) / elapsed_s * 1000
        values["backpressured_ms_per_second"] = (time.backpressured_s - before.backpressured_s) / elapsed_s * 1000
        values["idle_ms_per_second"] = (time.idle_s - before.idle_s) / elapsed_s * 1000
        batches = self._task.batches_in - before.batches_in
        values["batch_rows"] = (records_in - before.records_in) / batches if batches else 0.0
        self._previous = _Previous(
            now_s, time.busy_s, time.backpressured_s, time.idle_s, self._task.batches_in, records_in
        )


def subtask_ref(info: SubtaskInfo) -> common_pb2.SubtaskRef:
    return common_pb2.SubtaskRef(
        job_id=info.job_id, vertex_id=info.vertex_id, index=info.subtask_index, attempt=info.attempt
    )

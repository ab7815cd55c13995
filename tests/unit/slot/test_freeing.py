"""A job gives a slot back, and may have been given it again before the TaskManager hears of that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from millstream.proto.v1 import common_pb2
from millstream.taskmanager.slots import Slots


@pytest.mark.parametrize(
    ("job_id", "attempt", "goes"),
    [("job", 3, True), ("job", 4, True), ("job", None, True), ("job", 2, False), ("another", 4, False)],
)
def test_a_slot_goes_unless_it_runs_what_was_deployed_since(job_id: str, attempt: int | None, goes: bool) -> None:
    killed: list[bool] = []
    ref = common_pb2.SubtaskRef(job_id="job", vertex_id="v", attempt=3)
    process: Any = SimpleNamespace(
        job_id="job", being_replaced=False, subtasks={("job", "v", 0, 3): ref}, kill=lambda: killed.append(True)
    )
    slots = Slots.__new__(Slots)  # without a fork server
    slots.processes = {0: process}
    slots.free(0, job_id, attempt)
    assert bool(killed) is process.being_replaced is goes
    slots.free(0, job_id, attempt)
    assert len(killed) == goes, "it goes once"

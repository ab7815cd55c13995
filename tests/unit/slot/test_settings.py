"""What tasks are configured with: the settings of the slot, with those of the job over them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from millstream.core.clock import Clock, ManualClock
from millstream.core.config import load
from millstream.taskmanager.main import slot_settings
from millstream.taskmanager.slot.bootstrap import SlotBootstrap
from millstream.taskmanager.state.backends import memory_of_databases

MANAGED, FIXED = "taskmanager.memory.managed.size", "state.backend.rocksdb.memory.fixed-per-slot"


def configured(cluster: dict[str, object], job: dict[str, object]) -> dict[str, Any]:
    """What a task sees where the cluster and the job were started with these settings."""
    told = slot_settings(load(environ={}).with_values(cluster, "test"))
    slot = SlotBootstrap(
        slot_index=0, incarnation=0, taskmanager_id="tm", host_id="host", unix_path="", tcp_host="127.0.0.1",
        tcp_port=0, work_dir="", beat_interval_s=1.0, configuration=told,
    )  # fmt: skip
    flat = load(environ={}).with_values(job, "test").flatten()
    travelling = {key: json.dumps(value) for key, value in flat.items() if key.startswith("state.")}
    return slot.with_job(travelling)


def test_the_job_wins_and_leaves_to_the_cluster_what_it_does_not_set() -> None:
    cluster: dict[str, object] = {"state.backend.type": "rocksdb", "state.backend.rocksdb.localdir": "/fast"}
    found = configured(cluster, {})
    assert found["state.backend.type"] == "rocksdb" and found["state.backend.rocksdb.localdir"] == "/fast"
    assert configured(cluster, {"state.backend.type": "memory"})["state.backend.type"] == "memory"
    assert configured({}, {})["state.backend.type"] is None


@dataclass
class Context:
    configuration: dict[str, Any]
    max_parallelism: int = 128
    parallelism: int = 1
    subtask_index: int = 0
    clock: Clock = field(default_factory=ManualClock)


@pytest.mark.parametrize(
    ("cluster", "job", "megabytes"),
    [
        ({}, {}, 256),
        ({MANAGED: "16mb"}, {}, 16),
        ({MANAGED: "16mb", FIXED: "24mb"}, {}, 24),
        ({MANAGED: "16mb", FIXED: "24mb"}, {FIXED: "32mb"}, 32),
    ],
)
def test_memory_of_rocksdb(cluster: dict[str, object], job: dict[str, object], megabytes: int) -> None:
    memory = memory_of_databases(Context(configured(cluster, {"state.backend.type": "rocksdb", **job})))
    assert memory is not None and memory.row_cache_bytes == megabytes << 19
    assert memory_of_databases(Context(configured(cluster, job))) is None

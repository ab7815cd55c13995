"""Bugs in how the JobManager keeps track of jobs, slots and TaskManagers."""

from __future__ import annotations

from typing import Final

from tests.bugbank.bug import Bug, Edit, simulation, tests

TASKMANAGERS: Final = "millstream.jobmanager.taskmanagers"
MACHINE: Final = "millstream.jobmanager.job_machine"

BUGS: Final = [
    Bug(
        "slots-are-given-twice",
        "A slot that a job has been given is free for the next one.",
        (
            Edit(
                "millstream.jobmanager.scheduling.slot_pool",
                "            slot.allocated_to = job\n            chosen",
                "            chosen",
            ),
        ),
        (tests("tests/unit/jobmanager/test_slot_pool.py"),),
        in_ci=True,
    ),
    Bug(
        "heartbeats-by-the-wall-clock",
        "A TaskManager is given up by the time of day, which may be set forward.",
        (
            Edit(
                TASKMANAGERS,
                "        known.heard_s = self._clock.monotonic_s()\n",
                "        known.heard_s = self._clock.wall_ms() / 1000\n",
            ),
            Edit(
                TASKMANAGERS,
                "            self._clock.monotonic_s(),\n            self._clock.wall_ms(),\n",
                "            self._clock.wall_ms() / 1000,\n            self._clock.wall_ms(),\n",
            ),
            Edit(
                TASKMANAGERS,
                "        now_s = self._clock.monotonic_s()\n",
                "        now_s = self._clock.wall_ms() / 1000\n",
            ),
        ),
        (tests("tests/unit/jobmanager/test_jobs.py", "the_time_of_day_is_set"),),
        in_ci=True,
    ),
    Bug(
        "checkpoints-by-the-wall-clock",
        "Whether a checkpoint is due, or takes too long, is told by the time of day.",
        (
            Edit(
                "millstream.jobmanager.checkpointing.driver",
                "        return self._origin_ms + round(self._clock.monotonic_s() * 1000)\n",
                "        return self._clock.wall_ms()\n",
            ),
        ),
        (tests("tests/unit/checkpoints/test_driver_clock.py", "the_time_of_day_may_be_set"),),
    ),
    Bug(
        "a-report-of-a-former-attempt-counts",
        "A subtask of a former attempt that fails, or finishes, is taken for that of the present one.",
        (
            Edit(
                MACHINE,
                "if execution is None or execution.attempt != event.attempt or not",
                "if execution is None or not",
            ),
        ),
        (tests("tests/unit/jobmanager/test_job_machine.py", "foreign reports change nothing"),),
        in_ci=True,
    ),
    Bug(
        "a-poison-record-is-swallowed",
        "A record for which the user's function raises is passed over.",
        (
            Edit(
                "millstream.taskmanager.task.task",
                "        head.operator.process(batch, gate.input_index)\n",
                "        try:\n"
                "            head.operator.process(batch, gate.input_index)\n"
                "        except Exception:\n"
                "            pass\n",
            ),
        ),
        (tests("tests/integration/e2e/test_recovery.py", chosen="poison"),),
    ),
    Bug(
        "a-region-is-left-running",
        "When a subtask fails, those that it exchanges records with run on.",
        (
            Edit(
                MACHINE,
                "        self._take_down("
                "*map(self._regions.__getitem__, self._regions if vertices is None else vertices))\n"
                "        self._asked",
                "        self._take_down(self._regions if vertices is None else list(vertices))\n        self._asked",
            ),
        ),
        (tests("tests/unit/jobmanager/test_job_machine.py"),),
        in_ci=True,
    ),
    Bug(
        "a-former-leader-gives-orders",
        "A TaskManager obeys a JobManager that does not lead any more.",
        (
            Edit(
                "millstream.taskmanager.known_leader",
                "        if theirs < self.epoch:\n",
                "        if theirs < 0:\n",
            ),
        ),
        (tests("tests/unit/ha/test_fencing.py"),),
        in_ci=True,
    ),
    Bug(
        "a-lease-is-believed-for-ever",
        "A JobManager that was frozen goes on as the leader, though its lease is over.",
        (
            Edit(
                "millstream.jobmanager.ha.lease",
                "        if not self._over and self._clock.monotonic_s() >= self._until_s:\n",
                "        if not self._over and self._until_s < 0:\n",
            ),
        ),
        (tests("tests/unit/ha/test_lease.py"),),
        in_ci=True,
    ),
    Bug(
        "what-a-former-leader-wrote-late-counts",
        "A new leader believes records of a job that an earlier one wrote when it led no more.",
        (
            Edit(
                "millstream.jobmanager.ha.job_records",
                "        if record.epoch < recovered and",
                "        if record.epoch < 0 and",
            ),
        ),
        (tests("tests/unit/ha/test_job_store.py"),),
        in_ci=True,
    ),
    Bug(
        "an-attempt-is-known-that-is-not-recorded",
        "TaskManagers hear that an attempt is cancelled that is not in the job store, and whose number comes again.",
        (
            Edit(
                "millstream.jobmanager.deployment",
                "        if execution.attempt > recorded_attempt:\n",
                "        if False:\n",
            ),
        ),
        (tests("tests/sim/test_scenarios.py", "has not ended", chosen="could_not_be_recorded"),),
        in_ci=True,
    ),
    Bug(
        "a-slot-that-comes-back-is-not-freed",
        "A TaskManager that was given up comes back, and its slots stay with attempts that are over.",
        (
            Edit(
                "millstream.jobmanager.jobs",
                "        for slot in self._taskmanagers.pool.strays():\n",
                "        for slot in self._taskmanagers.pool.strays()[:0]:\n",
            ),
        ),
        (simulation(8, "slots some are not free"),),
        in_ci=True,
    ),
    Bug(
        "an-order-that-a-busy-server-drops-is-lost",
        "A call that a server had no room for counts as refused: the order to take a checkpoint is not repeated.",
        (
            Edit(
                "millstream.core.rpc.channel",
                "        if _DROPPED.get(code) == details:\n",
                "        if False:\n",
            ),
        ),
        (tests("tests/unit/rpc/test_strangers.py", "failed: (CANCELLED|RESOURCE_EXHAUSTED): ", chosen="made_again"),),
        in_ci=True,
    ),
]

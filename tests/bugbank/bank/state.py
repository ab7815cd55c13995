"""Bugs in how state is dealt out and taken in again."""

from __future__ import annotations

from typing import Final

from tests.bugbank.bug import Bug, Edit, chaos, oracle, tests

REDISTRIBUTION: Final = "millstream.jobmanager.checkpointing.redistribution"

BUGS: Final = [
    Bug(
        "key-groups-of-the-former-parallelism",
        "After a rescale, subtasks are given the key groups that they would have had before.",
        (
            Edit(
                REDISTRIBUTION,
                "    groups = key_group_range(index, vertex.max_parallelism, vertex.parallelism)\n",
                "    former_subtasks = max(former.vertex.parallelism, vertex.parallelism)\n"
                "    groups = key_group_range(index, vertex.max_parallelism, former_subtasks)\n",
            ),
        ),
        (oracle("rescaling-unaligned"),),
    ),
    Bug(
        "a-key-group-is-left-out",
        "The last key group of a subtask is not restored when a part of a file is its own.",
        (
            Edit(
                "millstream.taskmanager.checkpointing.state_files",
                "min(run.last_group, groups.stop - 1)",
                "min(run.last_group, groups.stop - 2)",
            ),
        ),
        (tests("tests/unit/state/test_backends.py", chosen="two_subtasks"),),
    ),
    Bug(
        "a-split-is-dealt-out-twice",
        "At another parallelism, splits go to their new reader and to the next one.",
        (Edit(REDISTRIBUTION, "% vertex.parallelism) == index\n", "% vertex.parallelism) in (index, index - 1)\n"),),
        (oracle("rescaling-unaligned"),),
    ),
    Bug(
        "batches-in-flight-go-to-one-of-their-consumers",
        "At another parallelism, batches in flight are not filtered by whose keys they hold.",
        (Edit(REDISTRIBUTION, "                    filter=filtered,\n", "                    filter=False,\n"),),
        (oracle("rescaling-unaligned"),),
    ),
    Bug(
        "union-state-is-merged-twice",
        "State that every subtask is given whole is handed to it twice.",
        (
            Edit(
                REDISTRIBUTION,
                "            if mine:\n",
                "            modes = (checkpoint_pb2.STATE_MODE_KEYED, checkpoint_pb2.STATE_MODE_ITEM)\n"
                "            twice = section.mode not in modes\n"
                "            for _ in range(2 if twice and mine else 1 if mine else 0):\n",
            ),
        ),
        (tests("tests/unit/checkpoints/test_redistribution.py"),),
        in_ci=True,
    ),
    Bug(
        "timers-are-restored-twice",
        "A timer that is restored fires once more than it should.",
        (
            Edit(
                "millstream.taskmanager.timers",
                "                    self.event.add(time_ms, key, namespace)\n",
                "                    self.event.add(time_ms, key, namespace)\n"
                "                    self.event.add(time_ms + 1, key, namespace)\n",
            ),
        ),
        (tests("tests/unit/operators/test_timers.py"),),
        in_ci=True,
    ),
    Bug(
        "the-watermark-is-restored-too-high",
        "A window operator starts with a watermark ahead of what it had seen.",
        (
            Edit(
                "millstream.taskmanager.operators.windowing.keyed_base",
                "        self.watermark_ms = restored_watermark(snapshot)\n",
                "        self.watermark_ms = restored_watermark(snapshot) + 1500\n",
            ),
        ),
        (chaos("aligned", "slot,slot", "windows: "),),
    ),
    Bug(
        "a-row-that-changes-is-not-copied",
        "A row that changes after the barrier, and before its turn to be written, is written as it is then.",
        (
            Edit(
                "millstream.taskmanager.state.capture",
                "        for key in keys:\n            if key not in copies:\n",
                "        for key in keys:\n            if key in copies:\n",
            ),
        ),
        (tests("tests/unit/state/test_backends.py", chosen="rows_change_while"),),
    ),
    Bug(
        "changes-of-a-checkpoint-that-failed-are-forgotten",
        "A checkpoint holds what changed since the last snapshot, though that one never counted.",
        (
            Edit(
                "millstream.taskmanager.state.changes",
                "        return list(self._taken.values())\n",
                "        return [self._taken[checkpoint_id]]\n",
            ),
        ),
        (tests("tests/unit/state/test_backends.py", chosen="many_failed"),),
    ),
    Bug(
        "rows-of-a-query-stay-after-they-have-counted",
        "OVER keeps rows in its state that no later frame needs: nobody sees it in the output.",
        (
            Edit(
                "millstream.taskmanager.operators.table.over",
                "        self._rows.log.forget(entries[needless])\n",
                "        self._rows.log.forget(entries[:0])\n",
            ),
        ),
        (oracle("sql", "counts: "),),
    ),
    Bug(
        "windows-of-a-query-are-restored-as-if-they-had-fired",
        "A window aggregation in SQL starts with a progress ahead of the watermark, and drops rows as late.",
        (
            Edit(
                "millstream.taskmanager.operators.table.window_aggregate",
                "        self._fired_ms = last_of(self._times.progress(self.watermark_ms))\n",
                "        self._fired_ms = last_of(self._times.progress(self.watermark_ms + 1500))\n",
            ),
        ),
        (chaos("sql", "slot,slot", "windows: "),),
    ),
]

"""Bugs in how tasks handle barriers, and what these overtake."""

from __future__ import annotations

from typing import Final

from tests.bugbank.bug import Bug, Edit, chaos, oracle, tests

ALIGNMENT: Final = "millstream.taskmanager.checkpointing.alignment"
TASK: Final = "millstream.taskmanager.checkpointing.task_checkpoints"
NO_MORE: Final = r"waited \d+ s for checkpoints"
"""No checkpoint is complete any more."""

BUGS: Final = [
    Bug(
        "one-channel-is-not-blocked",
        "A task goes on reading its first channel behind the barrier, while it waits for the barriers of the others.",
        (Edit(ALIGNMENT, "        if self._exactly_once:\n", "        if self._exactly_once and channel != 0:\n"),),
        (oracle("aligned"),),
    ),
    Bug(
        "the-last-barrier-is-not-waited-for",
        "A task takes its snapshot when all but one of its channels have had the barrier.",
        (Edit(ALIGNMENT, "< self._channels:", "< max(1, self._channels - 1):"),),
        (oracle("aligned"),),
    ),
    Bug(
        "a-barrier-counts-for-two-inputs",
        "The barrier of one channel counts as that of its neighbour too.",
        (Edit(ALIGNMENT, "        self._arrived.add(channel)\n", "        self._arrived |= {channel, channel ^ 1}\n"),),
        (oracle("aligned"),),
    ),
    Bug(
        "an-aborted-barrier-is-aligned-again",
        "A barrier of a checkpoint that was given up blocks its channel, and nobody will ever free it.",
        (
            Edit(
                ALIGNMENT,
                "        if barrier.checkpoint_id <= self._last_id:\n            return None",
                "        if barrier.checkpoint_id < self._last_id:\n            return None",
            ),
        ),
        (tests("tests/unit/checkpoints/test_alignment.py"),),
        in_ci=True,
    ),
    Bug(
        "overtaken-input-is-forgotten",
        "Of what waits in a channel before its unaligned barrier, the first batch does not get into the snapshot.",
        (Edit(TASK, "snapshot.add(self._key(channel), batches)\n", "snapshot.add(self._key(channel), batches[1:])\n"),),
        (oracle("unaligned-rocksdb"),),
    ),
    Bug(
        "overtaken-output-is-forgotten",
        "What an unaligned barrier overtakes in an output does not become part of the snapshot.",
        (
            Edit(
                TASK,
                "snapshot.add_output(identity.edge, identity.producer, partition.overtake(barrier))",
                "snapshot.add_output(identity.edge, identity.producer, {} if partition.overtake(barrier) else {})",
            ),
        ),
        (oracle("unaligned-rocksdb"),),
    ),
    Bug(
        "rows-of-a-batch-under-way-are-forgotten",
        "The rows of a batch that its step did not take are not in the snapshot of an unaligned barrier.",
        (Edit(TASK, "        pending = self._task.pending_batches()\n", "        pending = []\n"),),
        (oracle("unaligned-rocksdb"),),
    ),
    Bug(
        "records-behind-the-barrier-are-in-flight",
        "A channel whose barrier has come is taken for one on which batches of the snapshot still come.",
        (
            Edit(
                TASK,
                "            snapshot.add(self._key(channel), batches)\n"
                "            snapshot.channels_open.discard(channel)\n",
                "            snapshot.add(self._key(channel), batches)\n",
            ),
        ),
        (oracle("unaligned-rocksdb", NO_MORE),),
    ),
    Bug(
        "what-was-in-flight-is-not-restored",
        "A task starts from an unaligned checkpoint without the batches that its barriers had overtaken.",
        (
            Edit(
                "millstream.taskmanager.task.deploy",
                "            task.restore_in_flight(reader.in_flight(",
                "            list(reader.in_flight(",
            ),
        ),
        (chaos("unaligned", "slot,slot", "lost"),),
    ),
    Bug(
        "a-snapshot-does-not-wait-for-what-comes-in-its-turn",
        "An unaligned barrier takes the snapshot before those of channels have come that nothing may overtake.",
        (Edit(TASK, "        return self._in_turn <= ", "        return not self._in_turn or self._in_turn >= "),),
        (tests("tests/unit/checkpoints/test_overtaking.py"),),
        in_ci=True,
    ),
]

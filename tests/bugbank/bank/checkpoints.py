"""Bugs in how checkpoints come to count, and go again."""

from __future__ import annotations

from typing import Final

from tests.bugbank.bug import Bug, Edit, chaos, tests

COORDINATION: Final = "tests/unit/checkpoints/test_coordinator.py"
COORDINATOR: Final = "millstream.jobmanager.checkpointing.coordinator"
DRIVER: Final = "millstream.jobmanager.checkpointing.driver"
GARBAGE: Final = "millstream.jobmanager.checkpointing.garbage"
STORE: Final = "millstream.jobmanager.checkpointing.store"
PROTOCOL: Final = "millstream.jobmanager.checkpointing.protocol"
WRITER: Final = "millstream.taskmanager.checkpointing.writer"
FILES: Final = "millstream.core.checkpoint.files"
MANIFEST: Final = "millstream.core.checkpoint.manifest"
FRAMING: Final = "millstream.core.checkpoint.framing"
LOST: Final = r"I5: |lost [1-9]|[1-9]\d* lost|the job ended before its time"
"""A job ends before its time when its readers have lost what they were to read."""

BUGS: Final = [
    Bug(
        "answered-before-durable",
        "A task answers a checkpoint before its files are written.",
        (
            Edit(
                WRITER,
                "        self._thread.submit(work)\n",
                "        self._report(report)\n        self._thread.submit(work)\n",
            ),
        ),
        (chaos("aligned", "slot", LOST),),
    ),
    Bug(
        "complete-without-an-answer",
        "A checkpoint is taken for complete when one subtask has not answered.",
        (
            Edit(
                COORDINATOR,
                "return self.enumerators_done and not self.waiting\n",
                "return self.enumerators_done and len(self.waiting) <= 1\n",
            ),
            Edit(
                STORE,
                "states[SubtaskId(vertex_id, index)] for",
                "states.get(SubtaskId(vertex_id, index), checkpoint_pb2.SubtaskState(index=index)) for",
            ),
        ),
        (chaos("aligned", "slot", LOST),),
    ),
    Bug(
        "given-up-though-it-counts",
        "A checkpoint whose manifest is being written is given up when the job stops, and counts a moment later.",
        (
            Edit(
                COORDINATOR,
                "[pending for pending in self._pending.values() if pending.savepoint or not pending.sealing]",
                "list(self._pending.values())",
            ),
        ),
        (tests(COORDINATION, chosen="goes_on_when_the_job_stops"),),
        in_ci=True,
    ),
    Bug(
        "a-base-is-removed-under-way",
        "Files of a checkpoint go while another is under way that may refer to them.",
        (
            Edit(
                COORDINATOR,
                "if oldest is None or obsolete < oldest]",
                "if obsolete not in {pending.base_id for pending in self._pending.values()}]",
            ),
        ),
        (tests(COORDINATION, chosen="completed_meanwhile"),),
        in_ci=True,
    ),
    Bug(
        "shared-files-are-garbage",
        "Files that several checkpoints share are removed with the first of them.",
        (
            Edit(
                GARBAGE,
                "if path not in referred and writer",
                "if (path not in referred or path[:7] == 'shared/') and writer",
            ),
        ),
        (chaos("aligned-rocksdb", "slot,slot", "I7: |is missing"),),
    ),
    Bug(
        "a-former-leader-is-obeyed",
        "A generation does not look whether another one has begun.",
        (Edit(PROTOCOL, "    if highest > my_generation:\n", "    if highest > my_generation + 1:\n"),),
        (tests("tests/unit/checkpoints/test_protocol_search.py", "Error"),),
    ),
    Bug(
        "a-damaged-state-file-is-believed",
        "The checksum of what is read of a state file is not looked at.",
        (Edit(MANIFEST, "    if crc32c(data) != checksum:\n", "    if False:\n"),),
        (tests("tests/unit/checkpoints/test_files.py", "changed_byte_of_a_state_file"),),
        in_ci=True,
    ),
    Bug(
        "a-damaged-manifest-is-believed",
        "The checksum of a manifest is not looked at.",
        (Edit(FRAMING, "        if crc32c(name + body) != checksum:\n", "        if False:\n"),),
        (tests("tests/unit/checkpoints/test_files.py", "byte_of_a_manifest"),),
        in_ci=True,
    ),
    Bug(
        "fsync-is-tried-again",
        "When the disk cannot make a file durable it is asked once more, and then believed.",
        (
            Edit(
                FILES,
                "    os.fsync(descriptor)\n\n\ndef crc32c_of_file",
                "    try:\n        os.fsync(descriptor)\n    except OSError:\n        pass\n\n\ndef crc32c_of_file",
            ),
        ),
        (tests("tests/unit/checkpoints/test_files.py", "cannot_be_synchronised"),),
        in_ci=True,
    ),
    Bug(
        "a-claim-is-not-looked-at",
        "Who has written a claim believes that it counts, without looking whose it is.",
        (
            Edit(
                "millstream.jobmanager.checkpointing.ledger",
                "        counts = self._ask(may_commit(self.observe(), self.generation, checkpoint_id)) == candidate\n",
                "        counts = candidate == candidate\n",
            ),
        ),
        (tests("tests/unit/checkpoints/test_ledger.py"),),
        in_ci=True,
    ),
    Bug(
        "a-savepoint-is-complete-too-soon",
        "A savepoint is complete before a checkpoint is that follows it: restarts go back behind it.",
        (Edit(COORDINATOR, "is_followed = not (savepoint and ", "is_followed = not (False and "),),
        (tests(COORDINATION, chosen="savepoint"),),
        in_ci=True,
    ),
    Bug(
        "a-stopped-job-starts-again",
        "A job whose JobManager died while it was being stopped starts again from before its savepoint.",
        (Edit("millstream.jobmanager.job_master", "        if self.checkpoints.ends_with:\n", "        if False:\n"),),
        (tests("tests/integration/e2e/test_failover.py", chosen="does_not_start_again_from_before_its_savepoint"),),
    ),
    Bug(
        "a-doubt-is-forgotten",
        "A checkpoint that may count is left behind without a mark, and the job goes on from an earlier one.",
        (Edit(STORE, "                self._in_doubt.add(number)\n", "                self.ledger.abandon(number)\n"),),
        (tests("tests/unit/checkpoints/test_ledger.py", "DID NOT RAISE", chosen="in_doubt"),),
        in_ci=True,
    ),
]

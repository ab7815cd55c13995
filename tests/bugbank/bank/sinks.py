"""Bugs in how sinks commit."""

from __future__ import annotations

from typing import Final

from tests.bugbank.bug import Bug, Edit, chaos, tests

OPERATOR: Final = "millstream.taskmanager.operators.sink"
FILES: Final = "millstream.connectors.files.sink"
DRIVER: Final = "millstream.jobmanager.checkpointing.driver"

BUGS: Final = [
    Bug(
        "committed-before-the-claim",
        "Sinks are told to commit a checkpoint when all have answered, before it counts.",
        (
            Edit(
                DRIVER,
                "                case Seal():\n",
                "                case Seal():\n"
                "                    told = _message(instruction.checkpoint_id)\n"
                "                    self._tell(COMPLETED, self._job.running_subtasks(), told)\n",
            ),
        ),
        (chaos("aligned", "failpoint:manifest.written", "I2: |doubled"),),
    ),
    Bug(
        "later-checkpoints-are-committed-too",
        "When a checkpoint is complete, a sink commits all that it has prepared, also for later ones.",
        (
            Edit(
                OPERATOR,
                "committable for prepared_in, committable in self._prepared if prepared_in <= checkpoint_id]",
                "committable for prepared_in, committable in self._prepared]",
            ),
        ),
        (chaos("concurrent", "slot,slot", "I2: |doubled"),),
    ),
    Bug(
        "a-commit-is-not-idempotent",
        "A file that is committed a second time appears a second time.",
        (
            Edit(
                FILES,
                "            hidden.replace(final)\n",
                "            import os, shutil\n"
                "            shutil.copy(hidden, final.with_name(f'{final.stem}-{os.getpid()}{final.suffix}'))\n",
            ),
        ),
        (chaos("aligned", "slot,slot", "duplicated|doubled"),),
    ),
    Bug(
        "nothing-is-committed-at-the-start",
        "An attempt does not commit what the checkpoint holds that it starts from.",
        (
            Edit(
                OPERATOR,
                "            self._commit(self._restored[context.subtask_index :: context.parallelism], "
                "self._sink.recover_and_commit)\n",
                "",
            ),
        ),
        (chaos("aligned", "failpoint:commit.publish,failpoint:commit.publish", "lost|I6: "),),
    ),
    Bug(
        "a-share-of-the-commits-is-forgotten",
        "At another parallelism, what former subtasks had prepared is dealt out to as many as there are now, once.",
        (
            Edit(
                OPERATOR,
                "self._restored[context.subtask_index :: context.parallelism]",
                "self._restored[context.subtask_index : context.subtask_index + 1]",
            ),
        ),
        (tests("tests/unit/checkpoints/test_commits.py", "commits_its_share"),),
        in_ci=True,
    ),
    Bug(
        "what-may-count-is-aborted",
        "A sink that ends gives up what a checkpoint holds that may be complete already.",
        (Edit(OPERATOR, "        held_until = max(self._undecided, default=0)\n", "        held_until = 0\n"),),
        (tests("tests/unit/checkpoints/test_commits.py"),),
        in_ci=True,
    ),
    Bug(
        "an-abort-is-ignored",
        "What a sink gives up stays where it is.",
        (
            Edit(
                FILES,
                "            Path(committable.hidden).unlink(missing_ok=True)\n",
                "            Path(committable.hidden)\n",
            ),
        ),
        (tests("tests/unit/checkpoints/test_commits.py", "given_up_are_removed|killed"),),
        in_ci=True,
    ),
]

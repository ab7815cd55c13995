"""When a sink commits: with its checkpoint, once, also after a restart that cannot know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from millstream.connectors.files.api import text_sink
from millstream.connectors.files.sink import FileSink, PendingFile
from millstream.core.api.sink import CommittingSink, CommittingSinkWriter, SinkContext
from millstream.core.clock import ManualClock
from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.errors import ExternalError
from millstream.core.graph.specs import SinkSpec
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.testing.harness import OperatorHarness

WITH_CHECKPOINTS = {"execution.checkpointing.interval": 1000}


class Ledger(CommittingSink):
    """Commits go to a list that outlives the operator."""

    committed: list[Any] = []
    cleaned: list[list[Any]] = []
    aborted: list[Any] = []
    recovered: list[Any] = []

    def create_writer(self, context: SinkContext) -> CommittingSinkWriter:
        return LedgerWriter()

    def commit(self, committable: Any) -> None:
        self.committed.append(committable)

    def recover_and_commit(self, committable: Any) -> None:
        self.recovered.append(committable)
        super().recover_and_commit(committable)

    def abort(self, committable: Any) -> None:
        self.aborted.append(committable)
        if 13 in committable:
            raise OSError("no luck")

    def clean_up(self, context: SinkContext, kept: list[Any]) -> None:
        self.cleaned.append(kept)


class LedgerWriter(CommittingSinkWriter):
    def __init__(self) -> None:
        self.rows: list[Any] = []

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, ObjectBatch)
        self.rows += batch.values

    def prepare_commit(self) -> list[Any]:
        rows, self.rows = self.rows, []
        return [tuple(rows)] if rows else []


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    for told in (Ledger.committed, Ledger.cleaned, Ledger.aborted, Ledger.recovered):
        told.clear()


def taken(harness: OperatorHarness, checkpoint_id: int) -> OperatorSnapshot | None:
    """The operator's part of a checkpoint that is not complete yet."""
    harness.operator.prepare_snapshot(checkpoint_id)
    return harness.operator.snapshot(checkpoint_id)


def ledger_operator(**options: Any) -> OperatorHarness:
    return OperatorHarness(SinkSpec(Ledger()), configuration=WITH_CHECKPOINTS, **options)


def test_commits_wait_for_their_checkpoint() -> None:
    with ledger_operator() as harness:
        harness.push([1, 2])
        taken(harness, 1)
        harness.push([3])
        taken(harness, 2)
        assert Ledger.committed == []
        harness.operator.checkpoint_completed(1)
        assert Ledger.committed == [(1, 2)]
        harness.operator.checkpoint_completed(2)
        assert Ledger.committed == [(1, 2), (3,)]


def test_an_aborted_checkpoint_hands_its_commits_on_to_the_next() -> None:
    with ledger_operator() as harness:
        harness.push([1])
        taken(harness, 1)
        harness.push([2])
        taken(harness, 2)
        harness.operator.checkpoint_completed(2)
        assert Ledger.committed == [(1,), (2,)]


def test_what_a_completed_checkpoint_holds_is_committed_at_the_start() -> None:
    with ledger_operator() as harness:
        harness.push([1])
        snapshot = cloudpickle.dumps(taken(harness, 1))
    assert Ledger.committed == []
    with ledger_operator() as harness:
        harness.restore(snapshot)
        assert Ledger.committed == [(1,)] and Ledger.cleaned[-1] == [(1,)]
        assert Ledger.recovered == [(1,)] and Ledger.aborted == []


def test_what_no_checkpoint_holds_is_aborted_at_the_end() -> None:
    with ledger_operator() as harness:
        harness.push([1])
        harness.abort_checkpoint()
        harness.push([2])
        harness.abort_checkpoint()
        assert Ledger.aborted == []
    assert Ledger.aborted == [(1,), (2,)] and Ledger.committed == []


def test_one_that_cannot_be_aborted_is_logged_and_the_others_are(caplog: pytest.LogCaptureFixture) -> None:
    with ledger_operator(name="ledger") as harness:
        for number in (12, 13, 14):
            harness.push([number])
            harness.abort_checkpoint()
    assert Ledger.aborted == [(12,), (13,), (14,)]
    assert "sink 'ledger' cannot give up (13,): no luck" in caplog.text


def test_what_an_undecided_checkpoint_holds_is_not_aborted() -> None:
    """Its manifest may be written while the attempt ends; the first one is part of the second's state."""
    with ledger_operator() as harness:
        harness.push([1])
        harness.abort_checkpoint()
        harness.push([2])
        harness.snapshot()
        harness.push([3])
        harness.abort_checkpoint()
    assert Ledger.aborted == [(3,)] and Ledger.committed == []


def test_what_an_aborted_checkpoint_held_is_committed_with_the_next_and_never_aborted() -> None:
    with ledger_operator() as harness:
        harness.push([1])
        harness.abort_checkpoint()
        harness.push([2])
        harness.checkpoint()
        harness.push([3])
        harness.snapshot()
    assert Ledger.committed == [(1,), (2,)] and Ledger.aborted == []


def test_what_was_prepared_for_a_snapshot_that_was_never_taken_is_aborted() -> None:
    with ledger_operator() as harness:
        harness.push([1])
        harness.operator.prepare_snapshot(1)
    assert Ledger.aborted == [(1,)]


@pytest.mark.parametrize("subtask", [0, 1])
def test_each_subtask_commits_its_share_and_knows_all(subtask: int) -> None:
    with ledger_operator() as harness:
        for number in range(3):
            harness.push([number])
            snapshot = cloudpickle.dumps(taken(harness, number + 1))
    with ledger_operator(parallelism=2, subtask_index=subtask) as harness:
        harness.restore(snapshot)
        assert Ledger.committed == [[(0,), (2,)], [(1,)]][subtask]
        assert Ledger.cleaned[-1] == [(0,), (1,), (2,)]


def test_a_file_that_is_not_durable_ends_the_task_before_the_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("millstream.connectors.files.sink.sync_file", refuse)
    with OperatorHarness(SinkSpec(text_sink(str(tmp_path))), configuration=WITH_CHECKPOINTS) as harness:
        harness.push(["a"])
        with pytest.raises(ExternalError, match=r"cannot complete .*Input/output error"):
            harness.operator.prepare_snapshot(1)


def test_the_end_waits_for_a_checkpoint_of_everything() -> None:
    with ledger_operator() as harness:
        harness.push([1])
        taken(harness, 1)
        harness.push([2])
        harness.end()
        assert [event.kind for event in harness.sent_events] == ["await_commit"]
        harness.operator.checkpoint_completed(1)
        assert harness.operator.has_pending(), "the last rows are in no checkpoint yet"
        taken(harness, 2)
        assert harness.operator.has_pending()
        harness.operator.checkpoint_completed(2)
        assert not harness.operator.has_pending() and Ledger.committed == [(1,), (2,)]


def hidden(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.glob(".*"))


def visible(directory: Path) -> list[str]:
    return sorted(line for file in directory.glob("part-*") for line in file.read_text().splitlines())


def test_files_appear_with_their_checkpoint(tmp_path: Path) -> None:
    with OperatorHarness(SinkSpec(text_sink(str(tmp_path))), configuration=WITH_CHECKPOINTS) as harness:
        harness.push(["a", "b"])
        snapshot = taken(harness, 1)
        harness.push(["c"])
        assert visible(tmp_path) == [] and len(hidden(tmp_path)) == 2
        harness.operator.checkpoint_completed(1)
        assert visible(tmp_path) == ["a", "b"] and len(hidden(tmp_path)) == 1
    assert hidden(tmp_path) == [], "what was being written is removed when the job stops"
    assert snapshot is not None


def test_files_of_checkpoints_that_were_given_up_are_removed(tmp_path: Path) -> None:
    with OperatorHarness(SinkSpec(text_sink(str(tmp_path))), configuration=WITH_CHECKPOINTS) as harness:
        harness.push(["a"])
        harness.abort_checkpoint()
        harness.push(["b"])
        assert len(hidden(tmp_path)) == 2
    assert hidden(tmp_path) == [] and visible(tmp_path) == []


def test_a_file_is_aborted_once_however_often_it_is(tmp_path: Path) -> None:
    sink = text_sink(str(tmp_path))
    assert isinstance(sink, FileSink)
    file = PendingFile(str(tmp_path / ".part.inprogress"), str(tmp_path / "part"))
    Path(file.hidden).write_text("a\n")
    sink.abort(file)
    sink.abort(file)
    assert list(tmp_path.iterdir()) == []


def test_files_are_committed_once_however_often_they_are(tmp_path: Path) -> None:
    sink = text_sink(str(tmp_path))
    assert isinstance(sink, FileSink)
    file = PendingFile(str(tmp_path / ".part.inprogress"), str(tmp_path / "part"))
    Path(file.hidden).write_text("a\n")
    sink.commit(file)
    sink.commit(file)
    assert visible(tmp_path) == [] and (tmp_path / "part").read_text() == "a\n"
    (tmp_path / "part").unlink()
    with pytest.raises(ExternalError, match=r"is gone.*lost unless"):
        sink.commit(file)


def test_files_of_killed_attempts_are_removed_but_for_those_of_the_checkpoint(tmp_path: Path) -> None:
    harness = OperatorHarness(SinkSpec(text_sink(str(tmp_path))), configuration=WITH_CHECKPOINTS)
    harness.push(["a"])
    taken(harness, 1)
    harness.push(["b"])
    left = [tmp_path / name for name in hidden(tmp_path)]
    kept = PendingFile(str(left[0]), str(tmp_path / "final"))
    sink = text_sink(str(tmp_path))

    class Later(SinkContext):
        operator_id = harness.chained.operator_id
        attempt = 1
        subtask_index = 0
        parallelism = 1

    Later.job_id = left[0].name.split("-")[2]
    assert isinstance(sink, FileSink)
    sink.clean_up(Later(), [kept])
    assert hidden(tmp_path) == [left[0].name]
    harness.close()


def context_of(operator: str, subtask: int, attempt_number: int, of: int) -> SinkContext:
    class Given(SinkContext):
        job_id, operator_id, subtask_index, parallelism = "0" * 32, operator * 32, subtask, of
        attempt, clock, has_checkpoints = attempt_number, ManualClock(), True

    return Given()


def test_files_of_killed_subtasks_that_are_no_more_are_removed_too(tmp_path: Path) -> None:
    plain = text_sink(str(tmp_path))
    assert isinstance(plain, FileSink)
    sink = FileSink(str(tmp_path), plain.file_format, prefix="[a]")
    for subtask in range(4):
        for attempt in (0, 2):
            writer = sink.create_writer(context_of("a", subtask, attempt, 4))
            writer.open()
            writer.write(ObjectBatch(["x"]))
            writer.prepare_commit()
    assert len(hidden(tmp_path)) == 8
    sink.clean_up(context_of("a", 1, 2, 2), [])
    left = [(name.split("-")[1], name.split("-")[4]) for name in hidden(tmp_path)]
    assert sorted(left) == [("0", "0"), ("0", "2"), ("1", "2"), ("2", "0"), ("2", "2"), ("3", "2")]


def test_sinks_that_share_a_directory_leave_each_other_alone(tmp_path: Path) -> None:
    """Their subtasks have the same number, and one may be in a later attempt than the other."""
    sink = text_sink(str(tmp_path))
    assert isinstance(sink, FileSink)

    writers = [sink.create_writer(context_of(operator, 0, 0, 1)) for operator in "ab"]
    for number, writer in enumerate(writers):
        writer.open()
        writer.write(ObjectBatch([str(number)]))
    committables = [committable for writer in writers for committable in writer.prepare_commit()]
    sink.clean_up(context_of("a", 0, 1, 1), committables[:1])
    for committable in committables:
        sink.commit(committable)
    assert visible(tmp_path) == ["0", "1"]

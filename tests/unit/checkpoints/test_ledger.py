"""The records of checkpoints in a directory: generations, claims, and what is removed when."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from millstream.core.checkpoint.manifest import read_manifest
from millstream.core.checkpoint.storage import LocalStorage
from millstream.core.errors import CheckpointError, ConfigError, DamagedStateError, FencedError, UnavailableError
from millstream.jobmanager.checkpointing.history import Candidate
from millstream.jobmanager.checkpointing.ledger import Taken
from millstream.jobmanager.checkpointing.protocol import Corrupt, FallBackToParent, Ready, ReplayCommit, recovery
from millstream.jobmanager.checkpointing.store import CheckpointStore
from millstream.proto.v1 import checkpoint_pb2


def store(directory: Path) -> CheckpointStore:
    made = CheckpointStore(LocalStorage(directory))
    made.lead()
    return made


def taken(at: CheckpointStore, number: int, parent: int, *shared: str) -> None:
    """A checkpoint with one file of its own and some shared ones, new if they bear its number."""
    manifest = checkpoint_pb2.CheckpointManifest(job_id="j", checkpoint_id=number, parent_id=parent)
    subtask = manifest.vertices.add(vertex_id="v").subtasks.add()
    names = ["0.state", *(f"../shared/{name}" for name in shared)]
    for name in names:
        path = f"chk-{number}-g{at.ledger.generation}/{name}"
        if not name.startswith("../shared/") or name.startswith(f"../shared/{number}-"):
            at.storage.write(path, [b"x"])
        subtask.files.add(path=name, length=1)
    at.seal(manifest)


def names(directory: Path, *inside: str) -> list[str]:
    return sorted(path.name for path in directory.joinpath(*inside).iterdir())


def test_a_shared_file_goes_with_the_last_checkpoint_that_refers_to_it(tmp_path: Path) -> None:
    at = store(tmp_path)
    taken(at, 1, 0, "1-g1-a", "1-g1-b")
    taken(at, 2, 1, "1-g1-a", "2-g1-c")
    at.ledger.collect([1, 2], [])
    assert names(tmp_path, "shared") == ["1-g1-a", "1-g1-b", "2-g1-c"]
    at.ledger.collect([2], [1])
    assert names(tmp_path, "shared") == ["1-g1-a", "1-g1-b", "2-g1-c"], "one under way builds upon 1"
    at.ledger.collect([2], [])
    assert names(tmp_path, "shared") == ["1-g1-a", "2-g1-c"] and not (tmp_path / "chk-1-g1").exists()
    taken(at, 3, 2, "3-g1-d")
    at.ledger.collect([3], [])
    assert names(tmp_path, "shared") == ["3-g1-d"] and names(tmp_path, "epochs") == ["3"]


def test_what_a_given_up_checkpoint_left_is_found_later(tmp_path: Path) -> None:
    at = store(tmp_path)
    taken(at, 1, 0)
    at.storage.write("chk-2-g1/0.state", [b"x"])
    at.storage.write("shared/2-g1-left", [b"x"])
    at.ledger.collect([1], [2])
    at.ledger.collect([1], [])
    assert (tmp_path / "shared" / "2-g1-left").exists(), "it may still be under way"
    taken(at, 3, 1)
    at.ledger.collect([3], [])
    assert names(tmp_path, "shared") == [] and not (tmp_path / "chk-2-g1").exists()


def test_a_leader_that_was_replaced_can_neither_claim_nor_remove(tmp_path: Path) -> None:
    old = store(tmp_path)
    taken(old, 1, 0, "1-g1-a")
    new = CheckpointStore(LocalStorage(tmp_path))
    assert new.ledger.lead() == 2
    with pytest.raises(FencedError, match=r"another JobManager has taken over.*generation-2"):
        taken(old, 2, 1)
    old.ledger.collect([1], [])
    assert (tmp_path / "shared" / "1-g1-a").exists()


def test_recovery_reads_what_was_written(tmp_path: Path) -> None:
    at = store(tmp_path)
    taken(at, 1, 0)
    at.ledger.committed(1)
    assert recovery(at.ledger.observe(), 1) == Ready(Candidate(1, 1))
    taken(at, 2, 1)
    assert recovery(at.ledger.observe(), 1) == ReplayCommit(Candidate(2, 1))
    (tmp_path / "chk-2-g1" / "MANIFEST").write_bytes(b"torn")
    decision = recovery(CheckpointStore(LocalStorage(tmp_path)).ledger.observe(), 1)
    assert isinstance(decision, FallBackToParent) and decision.checkpoint == Candidate(1, 1)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"checkpoints cannot be written to .*execution.checkpointing.dir"):
        store(tmp_path / "file" / "job")


def test_no_changed_bit_of_a_record_is_believed(tmp_path: Path) -> None:
    at = store(tmp_path)
    taken(at, 1, 0)
    for name in ("epochs/1", "start-1"):
        whole = (tmp_path / name).read_bytes()
        for bit in range(len(whole) * 8):
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            (tmp_path / name).write_bytes(changed)
            decision = recovery(at.ledger.observe(), 1)
            assert isinstance(decision, Corrupt) and str(tmp_path / name) in decision.reason, bit
        (tmp_path / name).write_bytes(whole)
    assert recovery(at.ledger.observe(), 1) == ReplayCommit(Candidate(1, 1))


def test_records_that_changed_places_are_not_believed(tmp_path: Path) -> None:
    at = store(tmp_path)
    taken(at, 1, 0)
    taken(at, 2, 1)
    first, second = tmp_path / "epochs" / "1", tmp_path / "epochs" / "2"
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert isinstance(recovery(at.ledger.observe(), 1), Corrupt)


def test_a_manifest_of_another_checkpoint_is_not_read(tmp_path: Path) -> None:
    at = store(tmp_path)
    taken(at, 1, 0)
    taken(at, 2, 1)
    (tmp_path / "chk-1-g1" / "MANIFEST").write_bytes((tmp_path / "chk-2-g1" / "MANIFEST").read_bytes())
    with pytest.raises(DamagedStateError, match=r"chk-1-g1/MANIFEST is that of another checkpoint, chk-2-g1"):
        read_manifest(at.storage, "chk-1-g1")
    assert read_manifest(LocalStorage(tmp_path / "chk-2-g1")).checkpoint_id == 2


class _Failing(LocalStorage):
    """Dies at the n-th creation; ``acts``: just after it."""

    acts = False

    def __init__(self, root: Path, left: int) -> None:
        super().__init__(root)
        self.left = left
        self.error: BaseException = KeyboardInterrupt()

    def create(self, path: str, data: bytes) -> bool:
        self.left -= 1
        if self.left < 0:
            if self.acts:
                super().create(path, data)
            raise self.error
        return super().create(path, data)


def retaken(directory: Path) -> tuple[CheckpointStore, Taken]:
    made = CheckpointStore(LocalStorage(directory))
    return made, made.take_over()


def test_a_new_leader_goes_on_from_what_the_former_completed(tmp_path: Path) -> None:
    old = store(tmp_path)
    taken(old, 1, 0, "1-g1-a")
    taken(old, 2, 1, "1-g1-a", "2-g1-b")
    old.storage.write("chk-5-g1/0.state", [b"x"])
    new, found = retaken(tmp_path)
    assert found == Taken(kept=(1, 2), next_id=6, damage="")
    assert new.location(2) == f"{tmp_path}/chk-2-g1" and new.location(6) == f"{tmp_path}/chk-6-g2"
    new.ledger.committed(2)
    assert (tmp_path / "chk-2-g1" / "COMMITTED").exists()
    taken(new, 6, 2, "1-g1-a", "6-g2-c")
    new.ledger.collect([6], [])
    assert names(tmp_path, "shared") == ["1-g1-a", "6-g2-c"] and names(tmp_path, "epochs") == ["6"]
    third, found = retaken(tmp_path)
    assert found == Taken(kept=(6,), next_id=7, damage="") and third.location(6) == f"{tmp_path}/chk-6-g2"


def test_what_was_sealed_and_not_claimed_counts(tmp_path: Path) -> None:
    old = store(tmp_path)
    taken(old, 1, 0)
    old.ledger.committed(1)
    with pytest.raises(KeyboardInterrupt):
        dying = CheckpointStore(_Failing(tmp_path, 0))
        dying.ledger.generation = 1
        taken(dying, 2, 1)
    _, found = retaken(tmp_path)
    assert found == Taken(kept=(1, 2), next_id=3, damage="")
    with pytest.raises(FencedError):
        taken(old, 3, 2)


def test_a_new_leader_that_dies_while_it_takes_over_changes_nothing(tmp_path: Path) -> None:
    old = store(tmp_path)
    taken(old, 1, 0)
    old.storage.write("chk-2-g1/0.state", [b"x"])
    for left in (0, 1, 0, 1):
        with pytest.raises(KeyboardInterrupt):
            CheckpointStore(_Failing(tmp_path, left)).take_over()
    _, found = retaken(tmp_path)
    assert found == Taken(kept=(1,), next_id=3, damage="")


def test_a_damaged_checkpoint_is_passed_over_and_told(tmp_path: Path) -> None:
    old = store(tmp_path)
    taken(old, 1, 0)
    taken(old, 2, 1)
    (tmp_path / "chk-2-g1" / "MANIFEST").write_bytes(b"torn")
    new, found = retaken(tmp_path)
    assert found.kept == (1,) and "chk-2-g1" in found.damage and found.next_id == 3
    taken(new, 3, 1)
    assert retaken(tmp_path)[1].kept == (1, 3)


def test_a_job_does_not_start_from_nothing_when_all_it_had_is_damaged(tmp_path: Path) -> None:
    old = store(tmp_path)
    taken(old, 1, 0)
    (tmp_path / "chk-1-g1" / "0.state").unlink()
    with pytest.raises(DamagedStateError, match=r"no checkpoint in .* can be used.*0\.state is missing"):
        retaken(tmp_path)


@pytest.mark.parametrize("acts", [False, True], ids=["nothing was written", "it was written"])
@pytest.mark.parametrize("left", [0, 1], ids=["the first one", "the second one"])
def test_a_checkpoint_in_doubt_is_given_up_before_anything_starts_from_an_earlier_one(
    tmp_path: Path, acts: bool, left: int
) -> None:
    storage = _Failing(tmp_path, 2)
    storage.error, storage.acts = OSError("not now"), acts
    at = CheckpointStore(storage)
    at.lead()
    at.settle()
    for number in range(1, left + 1):
        storage.left = 1
        taken(at, number, number - 1)
    storage.left = 0
    with pytest.raises(CheckpointError, match="not now"):
        taken(at, left + 1, left)
    with pytest.raises(UnavailableError, match=f"cannot be recorded in .* that checkpoint {left + 1} was given up"):
        at.settle()
    storage.left = 1
    at.settle()
    at.settle()
    assert retaken(tmp_path)[1].kept == tuple(range(1, left + 1)), "another leader does not go on from it either"


def test_nothing_to_take_over(tmp_path: Path) -> None:
    new, found = retaken(tmp_path / "job")
    assert found == Taken(kept=(), next_id=1, damage="") and new.ledger.generation == 1


def test_a_storage_that_refuses_for_a_while_is_asked_again(tmp_path: Path) -> None:
    old = store(tmp_path)
    taken(old, 1, 0)
    old.ledger.committed(1)
    old.storage.write("chk-2-g1/0.state", [b"x"])
    for left in range(3):
        storage = _Failing(tmp_path, left)
        storage.error = OSError("not now")
        new = CheckpointStore(storage)
        for _ in range(2):
            with contextlib.suppress(UnavailableError):
                new.take_over()
        storage.left = 99
        assert new.take_over() == Taken(kept=(1,), next_id=3, damage="")
        assert new.ledger.generation == 2 + left

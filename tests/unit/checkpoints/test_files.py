"""State files and manifests: what is written is read back, and nothing else is believed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.core.checkpoint import files
from millstream.core.checkpoint.manifest import (
    MANIFEST_NAME,
    check_contents,
    check_files,
    read_manifest,
    write_manifest,
)
from millstream.core.checkpoint.storage import LocalStorage, Storage, open_storage
from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import Barrier
from millstream.core.errors import CheckpointError, ConfigError, DamagedStateError
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.checkpointing.state_files import StateReader, store_snapshot
from millstream.taskmanager.checkpointing.task_snapshot import ChannelKey, TaskSnapshot
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.state.state_writer import StateWriter
from millstream.taskmanager.task.context import SubtaskInfo

INFO = SubtaskInfo("job", "job", "v" * 16, "vertex", 1, 2, 4, 128)
GROUPS = range(32, 64)
NAMES = st.text(max_size=5)
SNAPSHOTS = st.builds(
    OperatorSnapshot,
    keyed=st.dictionaries(
        st.text(max_size=5), st.dictionaries(st.integers(0, 127), st.binary(), min_size=1), max_size=3
    ),
    items=st.dictionaries(NAMES, st.lists(st.binary(), min_size=1), max_size=2),
    union=st.dictionaries(NAMES, st.lists(st.binary(), min_size=1), max_size=2),
)


def written(
    storage: Storage, snapshots: list[tuple[str, OperatorSnapshot]], in_flight: dict[ChannelKey, list[Batch]]
) -> checkpoint_pb2.SubtaskState:
    snapshot = TaskSnapshot(Barrier(7, 0), snapshots, 0, 0)
    snapshot.in_flight.update(in_flight)
    return store_snapshot(INFO, snapshot, StateWriter(storage, "", 7, "owner"))


def reader(storage: Storage, state: checkpoint_pb2.SubtaskState) -> StateReader:
    restored = checkpoint_pb2.RestoredState(directory=storage.location)
    for operator in state.operators:
        found = restored.operators.add(operator_id=operator.operator_id)
        for s in operator.sections:
            found.sections.add(
                path=state.files[s.file].path, name=s.name, mode=s.mode, key_group=s.key_group,
                offset=s.offset, length=s.length, crc32c=s.crc32c,
            )  # fmt: skip
    for f in state.in_flight:
        restored.in_flight.add(
            edge_id=f.edge_id, producer=f.producer, file=state.files[f.file],
            offset=f.offset, length=f.length, crc32c=f.crc32c,
        )  # fmt: skip
    return StateReader(storage, restored, INFO)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(snapshots=st.lists(SNAPSHOTS, max_size=3))
def test_snapshots_come_back(tmp_path: Path, snapshots: list[OperatorSnapshot]) -> None:
    named = [(f"op{i}", snapshot) for i, snapshot in enumerate(snapshots)]
    storage = LocalStorage(tmp_path)
    assert reader(storage, written(storage, named, {})).operators(GROUPS) == dict(named)


def test_batches_in_flight_come_back_in_order(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    batches: list[Batch] = [ObjectBatch([1, 2]), ObjectBatch(["a"])]
    state = written(storage, [], {ChannelKey(3, 1, 0): batches, ChannelKey(4, 0, 0): [ObjectBatch([None])]})
    found = list(reader(storage, state).in_flight({}))
    assert [(edge, producer, batch.values) for edge, producer, batch in found if isinstance(batch, ObjectBatch)] == [
        (3, 1, [1, 2]),
        (3, 1, ["a"]),
        (4, 0, [None]),
    ]


def test_every_changed_byte_of_a_state_file_is_noticed(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    snapshot = OperatorSnapshot(keyed={"s": {3: b"0123456789"}, "t": {4: b"abc"}})
    state = written(storage, [("op", snapshot)], {})
    path = tmp_path / state.files[0].path
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x40]) + whole[position + 1 :])
        with pytest.raises(DamagedStateError, match=path.name):
            reader(storage, state).operators(GROUPS)
    path.write_bytes(whole[:-1])
    with pytest.raises(DamagedStateError, match="ends at byte"):
        reader(storage, state).operators(GROUPS)
    path.unlink()
    with pytest.raises(DamagedStateError, match="cannot be read"):
        reader(storage, state).operators(GROUPS)


def test_a_file_that_cannot_be_synchronised_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        files.write_durably(tmp_path / "state", [b"x"])
    assert list(tmp_path.iterdir()) == []


def manifest(storage: Storage) -> None:
    message = checkpoint_pb2.CheckpointManifest(job_id="j" * 32, job_name="job", checkpoint_id=7)
    vertex = message.vertices.add(vertex_id="v", name="v", parallelism=1, max_parallelism=128)
    vertex.subtasks.add(
        index=0, files=[checkpoint_pb2.StateFile(path="0.state", length=3, crc32c=files.crc32c(b"xxx"))]
    )
    write_manifest(storage, message)


def test_every_changed_or_missing_byte_of_a_manifest_is_noticed(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    manifest(storage)
    path = tmp_path / MANIFEST_NAME
    whole = path.read_bytes()
    assert read_manifest(storage).checkpoint_id == 7
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x11]) + whole[position + 1 :])
        with pytest.raises(DamagedStateError, match=MANIFEST_NAME):
            read_manifest(storage)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedStateError, match=MANIFEST_NAME):
            read_manifest(storage)


def test_random_bytes_are_no_manifest(tmp_path: Path) -> None:
    chance = random.Random(11)
    for _ in range(300):
        (tmp_path / MANIFEST_NAME).write_bytes(chance.randbytes(chance.randrange(200)))
        with pytest.raises(DamagedStateError):
            read_manifest(LocalStorage(tmp_path))


def test_missing_torn_and_changed_state_files_are_named(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    manifest(storage)
    with pytest.raises(DamagedStateError, match=r"0\.state.*missing"):
        check_files(storage, "", read_manifest(storage))
    (tmp_path / "0.state").write_bytes(b"xx")
    with pytest.raises(DamagedStateError, match=r"0\.state.*torn"):
        check_files(storage, "", read_manifest(storage))
    (tmp_path / "0.state").write_bytes(b"xxy")
    check_files(storage, "", read_manifest(storage))
    with pytest.raises(DamagedStateError, match=r"0\.state.*damaged"):
        check_contents(storage, "", read_manifest(storage))
    (tmp_path / "0.state").write_bytes(b"xxx")
    check_contents(storage, "", read_manifest(storage))


def test_a_directory_without_manifest_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(DamagedStateError, match="there is no checkpoint"):
        read_manifest(LocalStorage(tmp_path))


@pytest.mark.parametrize(
    "path", ["../0.state", "/etc/passwd", "../other/0.state", "..", "0\0.state", "../shared/../x", "a/../../x"]
)
def test_state_files_elsewhere_are_not_believed(tmp_path: Path, path: str) -> None:
    message = checkpoint_pb2.CheckpointManifest(job_id="j" * 32, job_name="job", checkpoint_id=7)
    subtask = message.vertices.add(vertex_id="v", name="v").subtasks.add(index=0)
    subtask.files.add(path=path)
    write_manifest(LocalStorage(tmp_path), message)
    with pytest.raises(DamagedStateError, match="not in its directory"):
        read_manifest(LocalStorage(tmp_path))


class SilentStorage(LocalStorage):
    """One that has everything, and does not answer just now."""

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        raise OSError(5, "Input/output error")

    def size(self, path: str) -> int | None:
        raise OSError(5, "Input/output error")


def test_a_storage_that_does_not_answer_is_not_one_whose_files_are_damaged(tmp_path: Path) -> None:
    file = checkpoint_pb2.StateFile(path="state", length=1)
    state = checkpoint_pb2.SubtaskState(files=[file])
    manifest = checkpoint_pb2.CheckpointManifest(vertices=[checkpoint_pb2.VertexState(subtasks=[state])])
    for storage, kind in ((SilentStorage(tmp_path), CheckpointError), (LocalStorage(tmp_path), DamagedStateError)):
        for look in (
            lambda storage=storage: read_manifest(storage),
            lambda storage=storage: check_files(storage, "", manifest),
            lambda storage=storage: check_contents(storage, "", manifest),
        ):
            with pytest.raises(CheckpointError) as raised:
                look()
            assert type(raised.value) is kind, "a job that meets a damaged file is not started again"


@pytest.mark.parametrize("location", ["", "/a\0b", "s3://bucket/\0"])
def test_what_is_no_location_is_refused(location: str) -> None:
    with pytest.raises(ConfigError, match="is no location for checkpoints"):
        open_storage(location, {})

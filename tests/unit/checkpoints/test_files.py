"""State files and manifests: what is written is read back, and nothing else is believed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.core.checkpoint import files
from millstream.core.checkpoint.manifest import MANIFEST_NAME, check_files, read_manifest, write_manifest
from millstream.core.errors import DamagedStateError
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.checkpointing.state_files import lay_out, read_state, write_state
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.task.context import SubtaskInfo

INFO = SubtaskInfo("job", "job", "v" * 16, "vertex", 1, 2, 4, 128)
NAMES = st.text(max_size=5)
SNAPSHOTS = st.builds(
    OperatorSnapshot,
    keyed=st.dictionaries(
        st.text(max_size=5), st.dictionaries(st.integers(0, 127), st.binary(), min_size=1), max_size=3
    ),
    items=st.dictionaries(NAMES, st.lists(st.binary(), min_size=1), max_size=2),
    union=st.dictionaries(NAMES, st.lists(st.binary(), min_size=1), max_size=2),
)


def written(directory: Path, snapshots: list[tuple[str, OperatorSnapshot]]) -> checkpoint_pb2.SubtaskState:
    state, content = lay_out(INFO, snapshots)
    write_state(directory, 7, state, content)
    return state


def restored(state: checkpoint_pb2.SubtaskState, directory: Path) -> list[checkpoint_pb2.RestoredOperator]:
    operators = []
    for operator in state.operators:
        found = checkpoint_pb2.RestoredOperator(operator_id=operator.operator_id)
        for s in operator.sections:
            found.sections.add(
                path=str(directory / "chk-7" / state.path), name=s.name, mode=s.mode, key_group=s.key_group,
                offset=s.offset, length=s.length, crc32c=s.crc32c,
            )  # fmt: skip
        operators.append(found)
    return operators


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(snapshots=st.lists(SNAPSHOTS, max_size=3))
def test_snapshots_come_back(tmp_path: Path, snapshots: list[OperatorSnapshot]) -> None:
    named = [(f"op{i}", snapshot) for i, snapshot in enumerate(snapshots)]
    state = written(tmp_path, named)
    assert read_state(restored(state, tmp_path)) == dict(named)


def test_every_changed_byte_of_a_state_file_is_noticed(tmp_path: Path) -> None:
    state = written(tmp_path, [("op", OperatorSnapshot(keyed={"s": {3: b"0123456789"}, "t": {4: b"abc"}}))])
    path = tmp_path / "chk-7" / state.path
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x40]) + whole[position + 1 :])
        with pytest.raises(DamagedStateError, match=state.path):
            read_state(restored(state, tmp_path))
    path.write_bytes(whole[:-1])
    with pytest.raises(DamagedStateError, match="ends at byte"):
        read_state(restored(state, tmp_path))
    path.unlink()
    with pytest.raises(DamagedStateError, match="cannot be read"):
        read_state(restored(state, tmp_path))


def test_a_file_that_cannot_be_synchronised_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        files.write_durably(tmp_path / "state", [b"x"])
    assert list(tmp_path.iterdir()) == []


def manifest(directory: Path) -> Path:
    message = checkpoint_pb2.CheckpointManifest(job_id="j" * 32, job_name="job", checkpoint_id=7)
    vertex = message.vertices.add(vertex_id="v", name="v", parallelism=1, max_parallelism=128)
    vertex.subtasks.add(index=0, path="0.state", length=3)
    return write_manifest(directory, message)


def test_every_changed_or_missing_byte_of_a_manifest_is_noticed(tmp_path: Path) -> None:
    path = manifest(tmp_path)
    whole = path.read_bytes()
    assert read_manifest(tmp_path).checkpoint_id == 7
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x11]) + whole[position + 1 :])
        with pytest.raises(DamagedStateError, match=MANIFEST_NAME):
            read_manifest(tmp_path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedStateError, match=MANIFEST_NAME):
            read_manifest(tmp_path)


def test_random_bytes_are_no_manifest(tmp_path: Path) -> None:
    chance = random.Random(11)
    for _ in range(300):
        (tmp_path / MANIFEST_NAME).write_bytes(chance.randbytes(chance.randrange(200)))
        with pytest.raises(DamagedStateError):
            read_manifest(tmp_path)


def test_missing_and_torn_state_files_are_named(tmp_path: Path) -> None:
    manifest(tmp_path)
    with pytest.raises(DamagedStateError, match=r"0\.state.*missing"):
        check_files(tmp_path, read_manifest(tmp_path))
    (tmp_path / "0.state").write_bytes(b"xx")
    with pytest.raises(DamagedStateError, match=r"0\.state.*torn"):
        check_files(tmp_path, read_manifest(tmp_path))
    (tmp_path / "0.state").write_bytes(b"xxx")
    check_files(tmp_path, read_manifest(tmp_path))


def test_a_directory_without_manifest_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(DamagedStateError, match="there is no checkpoint"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("path", ["../0.state", "/etc/passwd", "sub/0.state", "..", "0\0.state"])
def test_state_files_elsewhere_are_not_believed(tmp_path: Path, path: str) -> None:
    message = checkpoint_pb2.CheckpointManifest(job_id="j" * 32, job_name="job", checkpoint_id=7)
    message.vertices.add(vertex_id="v", name="v").subtasks.add(index=0, path=path)
    write_manifest(tmp_path, message)
    with pytest.raises(DamagedStateError, match="not in its directory"):
        read_manifest(tmp_path)

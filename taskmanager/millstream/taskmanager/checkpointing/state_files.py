"""One subtask's state as a file of sections, and back.

The file is nothing but the sections behind each other; names, key groups, offsets and checksums are in the manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from millstream.core.checkpoint.files import crc32c, read_section, write_durably
from millstream.core.checkpoint.manifest import checkpoint_directory
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.task.context import SubtaskInfo


def lay_out(
    info: SubtaskInfo, snapshots: Sequence[tuple[str, OperatorSnapshot]]
) -> tuple[checkpoint_pb2.SubtaskState, bytes]:
    """Description and content of the file for the snapshots of ``(operator id, snapshot)``.

    Done on the task's thread: each of the many short calls would wait for the interpreter's lock on another one.
    """
    state = checkpoint_pb2.SubtaskState(index=info.subtask_index)
    pieces: list[bytes] = []
    offset = 0
    for operator_id, snapshot in snapshots:
        operator = state.operators.add(operator_id=operator_id)
        for name, mode, group, data in snapshot.pieces():
            operator.sections.add(
                name=name, mode=mode, key_group=group, offset=offset, length=len(data), crc32c=crc32c(data)
            )
            pieces.append(data)
            offset += len(data)
    content = b"".join(pieces)
    if pieces:
        # The attempt is in the name: a subtask that was given up must not overwrite the file of the one after it.
        state.path = f"{info.vertex_id[:16]}-{info.subtask_index}-{info.attempt}.state"
        state.length = len(content)
        state.crc32c = crc32c(content)
    return state, content


def write_state(job_directory: Path, checkpoint_id: int, state: checkpoint_pb2.SubtaskState, content: bytes) -> None:
    """Write the file that ``lay_out`` described; durable on return. ``OSError`` when the disk refuses."""
    if state.path:
        directory = checkpoint_directory(job_directory, checkpoint_id)
        directory.mkdir(parents=True, exist_ok=True)
        write_durably(directory / state.path, [content])


def read_state(restored: Iterable[checkpoint_pb2.RestoredOperator]) -> dict[str, OperatorSnapshot]:
    """By operator id, what a subtask starts with. Raises ``CheckpointError`` for files that changed or are gone."""
    snapshots: dict[str, OperatorSnapshot] = {}
    for operator in restored:
        snapshot = snapshots[operator.operator_id] = OperatorSnapshot()
        for section in operator.sections:
            data = read_section(Path(section.path), section.offset, section.length, section.crc32c)
            snapshot.add(section.name, section.mode, section.key_group, data)
    return snapshots

"""The file sink: part files that appear whole.

A subtask writes to a hidden ``.part-….inprogress`` file and closes it when it is large or old enough, at each
checkpoint, and at the end of the input. Renaming it is the commit: when the checkpoint is complete, or, in a job
without checkpoints, at once. Readers that skip hidden names never see half a file, nor a record twice. A failed or
cancelled job removes the files it was writing; a file that waits for its checkpoint stays, hidden, until that is
decided, and is removed when the checkpoint is given up.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from millstream.connectors.files.formats.encoders import FileEncoder, FileFormat
from millstream.core.api.sink import CommittingSink, CommittingSinkWriter, SinkContext
from millstream.core.checkpoint.files import sync_directory, sync_file
from millstream.core.elements.batch import Batch
from millstream.core.errors import ExternalError

if TYPE_CHECKING:
    from millstream.connectors.files.partition_writing import Partitioning

ROLL_BYTES: Final = 128 * 1024 * 1024
ROLL_INTERVAL_MS: Final = 60_000
OPEN_FILES_MAX: Final = 256
"""Of one subtask; beyond it the file that was started first is completed."""


@dataclass(frozen=True)
class RollingPolicy:
    """A file is completed at ``bytes_max``, ``age_ms_max`` after it was started, or ``idle_ms_max`` after the last
    write, whichever comes first. Times are looked at every ``check_interval_ms``."""

    bytes_max: int = ROLL_BYTES
    age_ms_max: int | None = ROLL_INTERVAL_MS
    idle_ms_max: int | None = None
    check_interval_ms: int = 0


@dataclass(frozen=True)
class PendingFile:
    """A complete file that nobody sees yet."""

    hidden: str
    final: str


@dataclass
class _OpenFile:
    encoder: FileEncoder
    hidden: Path
    final: Path
    started_ms: int
    written_ms: int


class FileSink(CommittingSink):
    """Writes ``directory/part-<subtask>-<job>-<operator>-<attempt>-<number><suffix>``.

    The directory is made when it is missing; several sinks may write to it, of one job or of many.
    With ``partitioning`` there is a directory in between for each partition. ``success_file``: an empty file of that
    name in each directory says that files were committed there; empty for none.
    """

    def __init__(
        self,
        directory: str,
        file_format: FileFormat,
        rolling: RollingPolicy | None = None,
        prefix: str = "part",
        partitioning: Partitioning | None = None,
        success_file: str = "",
    ) -> None:
        if not directory:
            raise ValueError("the directory to write to must not be empty")
        self.directory = directory
        self.file_format = file_format
        self.rolling = rolling or RollingPolicy()
        self.prefix = prefix
        self.partitioning = partitioning
        self.success_file = success_file

    def create_writer(self, context: SinkContext) -> CommittingSinkWriter:
        return _FileWriter(self, context)

    def commit(self, committable: PendingFile) -> None:
        """Rename; a file that is there under its final name already has been committed before."""
        hidden, final = Path(committable.hidden), Path(committable.final)
        try:
            hidden.replace(final)
            if self.success_file:
                (final.parent / self.success_file).touch()
            sync_directory(final.parent)
        except FileNotFoundError:
            if not final.exists():
                raise ExternalError(
                    f"the file {hidden}, which a checkpoint says is complete, is gone, and {final} does not exist: "
                    f"somebody removed it. Its records are lost unless the job starts from an older checkpoint."
                ) from None
        except OSError as error:
            raise ExternalError(f"cannot complete {final}: {error.strerror or error}") from error

    def abort(self, committable: PendingFile) -> None:
        """Remove the hidden file."""
        try:
            Path(committable.hidden).unlink(missing_ok=True)
        except OSError as error:
            raise ExternalError(f"cannot remove {committable.hidden}: {error.strerror or error}") from error

    def clean_up(self, context: SinkContext, kept: list[PendingFile]) -> None:
        """Abort the hidden files of attempts that were killed; those of subtasks that are no more are shared out."""
        names = {Path(file.hidden).name for file in kept}
        directory = Path(self.directory).expanduser().absolute()
        pattern = f".{glob.escape(self.prefix)}-*.inprogress"
        ours = re.compile(rf"\.{re.escape(self.prefix)}-(\d+)-{_owner(context)}-(\d+)-\d+.*")
        for file in directory.glob(pattern) if self.partitioning is None else directory.rglob(pattern):
            found = ours.fullmatch(file.name)
            if found is None or file.name in names or int(found[2]) >= context.attempt:
                continue
            if int(found[1]) % context.parallelism == context.subtask_index:
                self.abort(PendingFile(str(file), ""))


def _owner(context: SinkContext) -> str:
    """No two sinks have the same, of one job or of many."""
    return f"{context.job_id[:8]}-{context.operator_id[:8]}"


class _FileWriter(CommittingSinkWriter):
    def __init__(self, sink: FileSink, context: SinkContext) -> None:
        self._sink = sink
        self._clock = context.clock
        self._directory = Path(sink.directory).expanduser().absolute()
        # No two attempts share a name.
        self._name = f"{sink.prefix}-{context.subtask_index}-{_owner(context)}-{context.attempt}"
        self._number = 0
        self._open: dict[str, _OpenFile] = {}
        """By directory below the sink's, the file started first in front."""
        self._checked_ms = context.clock.wall_ms()
        self._has_checkpoints = context.has_checkpoints
        self._waiting: list[PendingFile] = []

    def open(self) -> None:
        self._make(self._directory)

    def write(self, batch: Batch) -> None:
        if batch.num_rows == 0:
            return
        if self._sink.partitioning is None:
            self._write("", batch)
            return
        for directory, rows in self._sink.partitioning.divide(batch):
            self._write(directory, rows)

    def on_time(self, wall_ms: int) -> None:
        rolling = self._sink.rolling
        if wall_ms - self._checked_ms < rolling.check_interval_ms:
            return
        self._checked_ms = wall_ms
        for directory, file in list(self._open.items()):
            old = rolling.age_ms_max is not None and wall_ms - file.started_ms >= rolling.age_ms_max
            idle = rolling.idle_ms_max is not None and wall_ms - file.written_ms >= rolling.idle_ms_max
            if old or idle:
                self._complete(directory)

    def flush(self) -> None:
        if not self._has_checkpoints:
            self._complete_all()

    def prepare_commit(self) -> list[PendingFile]:
        self._complete_all()
        waiting, self._waiting = self._waiting, []
        return waiting

    def close(self) -> None:
        while self._open:
            _, file = self._open.popitem()
            file.encoder.abandon()
            file.hidden.unlink(missing_ok=True)
        for pending in self._waiting:  # of no checkpoint yet
            self._sink.abort(pending)
        self._waiting = []

    def _make(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExternalError(f"cannot write to {directory}: {error.strerror}") from error

    def _write(self, directory: str, batch: Batch) -> None:
        file = self._open.get(directory)
        try:
            if file is None:
                file = self._start(directory)
            file.encoder.write(batch)
        except OSError as error:
            where = self._directory / directory if file is None else file.hidden
            raise ExternalError(f"cannot write {where}: {error.strerror or error}") from error
        file.written_ms = self._clock.wall_ms()
        if file.encoder.bytes_written >= self._sink.rolling.bytes_max:
            self._complete(directory)

    def _start(self, directory: str) -> _OpenFile:
        if len(self._open) >= OPEN_FILES_MAX:
            self._complete(next(iter(self._open)))
        parent = self._directory / directory
        if directory:
            self._make(parent)
        name = f"{self._name}-{self._number}{self._sink.file_format.suffix}"
        self._number += 1
        hidden = parent / f".{name}.inprogress"
        hidden.unlink(missing_ok=True)
        now_ms = self._clock.wall_ms()
        encoder = self._sink.file_format.open(hidden)
        self._open[directory] = file = _OpenFile(encoder, hidden, parent / name, now_ms, now_ms)
        return file

    def _complete_all(self) -> None:
        for directory in list(self._open):
            self._complete(directory)

    def _complete(self, directory: str) -> None:
        file = self._open[directory]
        try:
            file.encoder.finish()
            del self._open[directory]
            pending = PendingFile(str(file.hidden), str(file.final))
            if self._has_checkpoints:
                sync_file(file.hidden)
                self._waiting.append(pending)
            else:
                self._sink.commit(pending)
        except OSError as error:
            raise ExternalError(f"cannot complete {file.hidden}: {error.strerror or error}") from error

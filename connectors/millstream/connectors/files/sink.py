"""The file sink: part files that appear whole.

A subtask writes to a hidden ``.part-….inprogress`` file and closes it when it is large or old enough, at each
checkpoint, and at the end of the input. Renaming it is the commit: when the checkpoint is complete, or, in a job
without checkpoints, at once. Readers that skip hidden names never see half a file, nor a record twice. A failed or
cancelled job removes the files it was writing; a file that waits for its checkpoint stays, hidden, until that is
decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from millstream.connectors.files.formats.encoders import FileEncoder, FileFormat
from millstream.core.api.sink import CommittingSink, CommittingSinkWriter, SinkContext
from millstream.core.checkpoint.files import sync_directory, sync_file
from millstream.core.elements.batch import Batch
from millstream.core.errors import ExternalError

ROLL_BYTES: Final = 128 * 1024 * 1024
ROLL_INTERVAL_MS: Final = 60_000


@dataclass(frozen=True)
class RollingPolicy:
    """A file is completed at ``bytes_max`` or ``age_ms_max`` after it was started, whichever comes first."""

    bytes_max: int = ROLL_BYTES
    age_ms_max: int | None = ROLL_INTERVAL_MS


@dataclass(frozen=True)
class PendingFile:
    """A complete file that nobody sees yet."""

    hidden: str
    final: str


class FileSink(CommittingSink):
    """Writes ``directory/part-<subtask>-<job>-<operator>-<attempt>-<number><suffix>``.

    The directory is made when it is missing; several sinks may write to it, of one job or of many.
    """

    def __init__(
        self,
        directory: str,
        file_format: FileFormat,
        rolling: RollingPolicy | None = None,
        prefix: str = "part",
    ) -> None:
        if not directory:
            raise ValueError("the directory to write to must not be empty")
        self.directory = directory
        self.file_format = file_format
        self.rolling = rolling or RollingPolicy()
        self.prefix = prefix

    def create_writer(self, context: SinkContext) -> CommittingSinkWriter:
        return _FileWriter(self, context)

    def commit(self, committable: PendingFile) -> None:
        """Rename; a file that is there under its final name already has been committed before."""
        hidden, final = Path(committable.hidden), Path(committable.final)
        try:
            hidden.replace(final)
            sync_directory(final.parent)
        except FileNotFoundError:
            if not final.exists():
                raise ExternalError(
                    f"the file {hidden}, which a checkpoint says is complete, is gone, and {final} does not exist: "
                    f"somebody removed it. Its records are lost unless the job starts from an older checkpoint."
                ) from None
        except OSError as error:
            raise ExternalError(f"cannot complete {final}: {error.strerror or error}") from error

    def clean_up(self, context: SinkContext, kept: list[PendingFile]) -> None:
        """Remove the hidden files of attempts that were killed."""
        names = {Path(file.hidden).name for file in kept}
        directory = Path(self.directory).expanduser().absolute()
        for attempt in range(context.attempt):
            for file in directory.glob(f".{_stem(self, context, attempt)}-*.inprogress"):
                if file.name not in names:
                    file.unlink(missing_ok=True)


def _stem(sink: FileSink, context: SinkContext, attempt: int) -> str:
    """What the names of a subtask's files begin with. No two sinks of a job share a name, and no two attempts."""
    return f"{sink.prefix}-{context.subtask_index}-{context.job_id[:8]}-{context.operator_id[:8]}-{attempt}"


class _FileWriter(CommittingSinkWriter):
    def __init__(self, sink: FileSink, context: SinkContext) -> None:
        self._sink = sink
        self._clock = context.clock
        self._directory = Path(sink.directory).expanduser().absolute()
        self._name = _stem(sink, context, context.attempt)
        self._number = 0
        self._encoder: FileEncoder | None = None
        self._path = Path()
        self._started_ms = 0
        self._has_checkpoints = context.has_checkpoints
        self._waiting: list[PendingFile] = []

    def open(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExternalError(f"cannot write to {self._directory}: {error.strerror}") from error

    def write(self, batch: Batch) -> None:
        if batch.num_rows == 0:
            return
        try:
            if self._encoder is None:
                self._start()
            assert self._encoder is not None
            self._encoder.write(batch)
        except OSError as error:
            raise ExternalError(f"cannot write {self._path}: {error.strerror or error}") from error
        if self._encoder.bytes_written >= self._sink.rolling.bytes_max:
            self._complete()

    def on_time(self, wall_ms: int) -> None:
        age_ms_max = self._sink.rolling.age_ms_max
        if self._encoder is not None and age_ms_max is not None and wall_ms - self._started_ms >= age_ms_max:
            self._complete()

    def flush(self) -> None:
        if self._encoder is not None and not self._has_checkpoints:
            self._complete()

    def prepare_commit(self) -> list[PendingFile]:
        if self._encoder is not None:
            self._complete()
        waiting, self._waiting = self._waiting, []
        return waiting

    def close(self) -> None:
        if self._encoder is not None:
            self._encoder.abandon()
            self._encoder = None
            self._path.unlink(missing_ok=True)
        for file in self._waiting:  # of no checkpoint yet
            Path(file.hidden).unlink(missing_ok=True)
        self._waiting = []

    def _start(self) -> None:
        self._path = self._directory / f".{self._final_name()}.inprogress"
        self._path.unlink(missing_ok=True)
        self._encoder = self._sink.file_format.open(self._path)
        self._started_ms = self._clock.wall_ms()

    def _complete(self) -> None:
        assert self._encoder is not None
        try:
            self._encoder.finish()
            self._encoder = None
            file = PendingFile(str(self._path), str(self._directory / self._final_name()))
            if self._has_checkpoints:
                sync_file(self._path)
                self._waiting.append(file)
            else:
                self._sink.commit(file)
        except OSError as error:
            raise ExternalError(f"cannot complete {self._path}: {error.strerror or error}") from error
        self._number += 1

    def _final_name(self) -> str:
        return f"{self._name}-{self._number}{self._sink.file_format.suffix}"

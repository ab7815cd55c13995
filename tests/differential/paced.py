"""Connectors of the suite: files that are read in step with checkpoints, and a sink that keeps a whole changelog.

Both are found by the entry points of a distribution that ``install`` makes up, as a third party's are.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from millstream.connectors import table_factories
from millstream.connectors.files.split import FileSplit
from millstream.connectors.tables.filesystem import FilesystemConnector
from millstream.core.api.sink import CommittingSink, CommittingSinkWriter, Sink, SinkContext
from millstream.core.api.source import (
    Boundedness,
    EnumeratorContext,
    PollStatus,
    ReaderContext,
    Source,
    SourceReader,
    SplitBatch,
    SplitEnumerator,
)
from millstream.core.config.values import Integer
from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.table.connectors import ChangelogMode, Pushdown, TableConnector, TableDescription, TableSource
from millstream.core.table.table_options import TableOption, TableOptions
from tests.differential.tables import PORTIONS

KINDS: Final = "row kinds"
_POLL_S: Final = 0.02
_PACE: Final = ("gate", "portion-rows", "batch-rows")


class PacedConnector(FilesystemConnector):
    """``filesystem`` whose readers hand out small batches and, while the file ``gate`` is not there, wait after each
    portion for a checkpoint; the last portion waits for the gate itself."""

    identifier = "paced"
    optional_options = {
        **FilesystemConnector.optional_options,
        "gate": TableOption("A file; once it is there, nobody waits."),
        "portion-rows": TableOption("Rows a reader emits between two checkpoints.", Integer(1)),
        "batch-rows": TableOption("Most rows of a batch.", Integer(1)),
    }

    def open_source(self, description: TableDescription, options: TableOptions, pushdown: Pushdown) -> TableSource:
        plain = {name: value for name, value in description.options.items() if name not in _PACE}
        files = TableDescription(
            description.name, description.schema, {**plain, "connector": "filesystem"}, description.partition_keys
        )
        opened = FilesystemConnector().source(files, pushdown)
        pace = (Path(options.get("gate")), options.get("portion-rows"), options.get("batch-rows"))
        source = PacedSource(opened.source, *pace)
        return TableSource(
            source, opened.schema, opened.bounded, opened.accepted_filters, parallelism=options.get("scan.parallelism")
        )


class PacedSource(Source[Any]):
    """The splits and positions are those of ``inner``."""

    def __init__(self, inner: Source[Any], gate: Path, portion_rows: int, batch_rows: int) -> None:
        self.inner = inner
        self.boundedness: Boundedness = inner.boundedness
        self.gate = gate
        self.portion_rows = portion_rows
        self.batch_rows = batch_rows

    def in_time_order(self) -> PacedSource:
        return PacedSource(self.inner.in_time_order(), self.gate, self.portion_rows, self.batch_rows)

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[Any]:
        return self.inner.create_enumerator(context)

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[Any]:
        return self.inner.restore_enumerator(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[Any]:
        return PacedReader(self, context)


@dataclass(frozen=True)
class PacedSplit:
    """``split`` from its position on, without the first ``skipped`` rows."""

    split: FileSplit
    skipped: int = 0

    @property
    def split_id(self) -> str:
        return self.split.split_id

    def __lt__(self, other: PacedSplit) -> bool:
        return self.split < other.split


class PacedReader(SourceReader[Any]):
    """Hands out slices of the batches of ``inner``. Portions are freed by ``snapshot_state``."""

    def __init__(self, source: PacedSource, context: ReaderContext) -> None:
        self._gate = source.gate
        self._open = source.gate.exists()
        self._portion_rows = source.portion_rows
        self._freed_rows = source.portion_rows
        self._batch_rows = source.batch_rows
        self._read_rows = 0
        self._inner = source.inner.create_reader(context)
        self.side_by_side = self._inner.side_by_side  # type: ignore[misc]
        self._skipped: dict[str, int] = {}
        self._rest: SplitBatch | None = None
        self._before_rest: list[FileSplit] = []
        self._handed_rows = 0

    def start(self) -> None:
        self._inner.start()

    def poll(self) -> SplitBatch | PollStatus:
        wanted = self._batch_rows
        if not self._open:
            wanted = min(wanted, self._freed_rows - self._read_rows)
            if wanted <= 0:
                self._open = self._gate.exists()
                return PollStatus.NOTHING_NOW
        if self._rest is None:
            before = self._inner.snapshot_state()
            answer = self._inner.poll()
            if not isinstance(answer, SplitBatch) or not isinstance(answer.batch, ArrowBatch):
                return answer
            self._rest, self._before_rest = answer, before
            self._handed_rows = min(self._skipped.get(answer.split_id, 0), answer.batch.num_rows)
            if self._handed_rows:
                self._skipped[answer.split_id] -= self._handed_rows
        return self._slice(self._rest, wanted)

    def wait_s(self) -> float | None:
        return _POLL_S if not self._open else self._inner.wait_s()

    def add_splits(self, splits: list[Any]) -> None:
        for split in splits:
            if isinstance(split, PacedSplit):
                self._skipped[split.split.split_id] = split.skipped
        plain = [split.split if isinstance(split, PacedSplit) else split for split in splits]
        self._inner.add_splits(plain)
        if self._rest is not None:
            self._before_rest += plain

    def notify_no_more_splits(self) -> None:
        self._inner.notify_no_more_splits()

    def snapshot_state(self) -> list[Any]:
        if self._read_rows >= self._freed_rows:
            self._freed_rows = min(self._freed_rows + self._portion_rows, (PORTIONS - 1) * self._portion_rows)
        if self._rest is None:
            return [PacedSplit(split, self._skipped.get(split.split_id, 0)) for split in self._inner.snapshot_state()]
        handed = {**self._skipped, self._rest.split_id: self._handed_rows}
        return [PacedSplit(split, handed.get(split.split_id, 0)) for split in self._before_rest]

    def close(self) -> None:
        self._inner.close()

    def _slice(self, rest: SplitBatch, wanted: int) -> SplitBatch:
        start = self._handed_rows
        stop = min(start + wanted, rest.batch.num_rows)
        finished = stop == rest.batch.num_rows
        self._handed_rows = stop
        self._read_rows += stop - start
        if finished:
            self._rest = None
        return SplitBatch(rest.batch.slice(start, stop), rest.split_id, finished and rest.split_finished)


class ChangesConnector(TableConnector):
    """``changes``: every change as it comes, into Arrow files below ``path``."""

    identifier = "changes"
    required_options = {"path": TableOption("a directory")}

    def accepted_changelog(self, description: TableDescription, requested: ChangelogMode) -> ChangelogMode:
        return requested

    def open_sink(self, description: TableDescription, options: TableOptions, changelog_mode: ChangelogMode) -> Sink:
        return ChangesSink(Path(options.get("path")))


class ChangesSink(CommittingSink):
    """A job that stops with a savepoint may have gone on behind it: only what a checkpoint covers counts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def create_writer(self, context: SinkContext) -> CommittingSinkWriter:
        name = f"{context.job_id}-{context.subtask_index}-{context.attempt}"
        return ChangesWriter(self.directory / name, context.has_checkpoints)

    def commit(self, committable: Any) -> None:
        path = Path(committable)
        if path.exists():
            path.rename(path.with_suffix(".arrows"))

    def abort(self, committable: Any) -> None:
        Path(committable).unlink(missing_ok=True)


class ChangesWriter(CommittingSinkWriter):
    """A file for each checkpoint, which gets its suffix when that is complete."""

    def __init__(self, path: Path, has_checkpoints: bool) -> None:
        self._path = path
        self._has_checkpoints = has_checkpoints
        self._files = 0
        self._file: pa.NativeFile | None = None
        self._stream: pa.RecordBatchStreamWriter | None = None

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, ArrowBatch), f"a query sent {batch!r}"
        if batch.num_rows == 0:
            return
        kinds = np.zeros(batch.num_rows, np.int8) if batch.row_kinds is None else batch.row_kinds
        names = [KINDS, *(str(at) for at in range(batch.records.num_columns))]
        records = pa.RecordBatch.from_arrays([pa.array(kinds, pa.int8()), *batch.records.columns], names=names)
        if self._stream is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = pa.OSFile(str(self._open_path), "wb")
            self._stream = pa.ipc.new_stream(self._file, records.schema)
        self._stream.write_batch(records)

    def flush(self) -> None:
        if not self._has_checkpoints:
            for path in self.prepare_commit():
                Path(path).rename(Path(path).with_suffix(".arrows"))

    def prepare_commit(self) -> list[str]:
        if self._stream is None:
            return []
        path = str(self._open_path)
        self.close()
        self._files += 1
        return [path]

    def close(self) -> None:
        if self._stream is not None and self._file is not None:
            self._stream.close()
            self._file.close()
            self._stream = self._file = None

    @property
    def _open_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}-{self._files}.open")


def install(directory: Path) -> None:
    """Make the connectors known to this process."""
    distribution = directory / "differential_connectors-1.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: differential-connectors\nVersion: 1\n")
    points = [f"paced = {__name__}:PacedConnector", f"changes = {__name__}:ChangesConnector"]
    (distribution / "entry_points.txt").write_text("\n".join([f"[{table_factories.GROUP}]", *points, ""]))
    sys.path.append(str(directory))
    table_factories._registered.cache_clear()


def uninstall(directory: Path) -> None:
    """Forget them."""
    sys.path.remove(str(directory))
    table_factories._registered.cache_clear()

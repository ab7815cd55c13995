"""The file source: which files, in which format, cut into which splits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from millstream.connectors.files.compression import is_compressed
from millstream.connectors.files.formats.line_format import LineFormat
from millstream.connectors.files.listing import list_files
from millstream.connectors.files.malformed import MalformedPolicy
from millstream.connectors.files.new_files import NewFilesEnumerator
from millstream.connectors.files.pieces import PieceFormat, PieceReader
from millstream.connectors.files.reader import LineFileReader
from millstream.connectors.files.side_by_side import SideBySideReader
from millstream.connectors.files.split import FileSplit
from millstream.connectors.fixed_splits import FixedSplitEnumerator
from millstream.connectors.split_queue import SplitQueueEnumerator
from millstream.core.api.source import (
    Boundedness,
    EnumeratorContext,
    ReaderContext,
    Source,
    SourceReader,
    SplitEnumerator,
)

SPLIT_BYTES_MAX: Final = 64 * 1024 * 1024
SPLIT_BYTES_MIN: Final = 1024 * 1024


class FileSource(Source[FileSplit]):
    """Bounded input from files.

    Files of line formats that are not compressed are cut into byte ranges so that all subtasks share a large file:
    ranges of between 1 and 64 MiB, about four a subtask. With parallelism 1 files are read whole, in name order.
    """

    def __init__(
        self,
        paths: Iterable[str],
        file_format: LineFormat | PieceFormat,
        policy: MalformedPolicy | None = None,
        keeps: Callable[[str], bool] | None = None,
        monitor_ms: int | None = None,
        by_time: bool = False,
    ) -> None:
        """``keeps``: whether to read a file, by its path; None for all. ``monitor_ms``: look for files that are new
        that often, without end; None to read what is there at the start. ``by_time``: files
        are read side by side, in the order of event time."""
        self.paths = list(paths)
        self.file_format = file_format
        self.policy = policy or MalformedPolicy()
        self.keeps = keeps
        self.monitor_ms = monitor_ms
        self.by_time = by_time
        self.boundedness = Boundedness.BOUNDED if monitor_ms is None else Boundedness.CONTINUOUS_UNBOUNDED

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[FileSplit]:
        if self.monitor_ms is not None:
            return NewFilesEnumerator(context, self.files, self.splits_of, self.monitor_ms)
        if self._whole_files(context.parallelism):
            return FixedSplitEnumerator(context, self.splits)
        return SplitQueueEnumerator(context, self.splits)

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[FileSplit]:
        if self.monitor_ms is not None:
            return NewFilesEnumerator(context, self.files, self.splits_of, self.monitor_ms, state)
        if self._whole_files(context.parallelism):
            return FixedSplitEnumerator.restored(context, state)
        return SplitQueueEnumerator.restored(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[FileSplit]:
        if self.by_time:
            return SideBySideReader(lambda: self._reader(context), context)
        return self._reader(context)

    def _reader(self, context: ReaderContext) -> SourceReader[FileSplit]:
        if isinstance(self.file_format, PieceFormat):
            return PieceReader(self.file_format, context)
        return LineFileReader(self.file_format, self.policy, context)

    @property
    def produced_type(self) -> Any:
        return None if isinstance(self.file_format, PieceFormat) else self.file_format.produced_type

    def column_types(self) -> Mapping[str, type] | None:
        return None if isinstance(self.file_format, PieceFormat) else self.file_format.column_types()

    def columnar(self) -> FileSource:
        assert not isinstance(self.file_format, PieceFormat)
        return FileSource(
            self.paths, self.file_format.columnar(), self.policy, self.keeps, self.monitor_ms, self.by_time
        )

    def in_time_order(self) -> FileSource:
        """Files side by side. Where each subtask has a file of its own files are read whole; fewer files than that are
        cut, and each is read from its beginning on."""
        return FileSource(self.paths, self.file_format, self.policy, self.keeps, self.monitor_ms, by_time=True)

    def splits(self, parallelism: int) -> list[FileSplit]:
        """All splits of all files: in file order, or, by time, the first ones of all files before the second ones."""
        files = self.files()
        if not self.by_time:
            return [split for file in files for split in self.splits_of(file, parallelism)]
        cut_for = 1 if len(files) >= parallelism else parallelism
        of_files = [self.splits_of(file, cut_for) for file in files]
        return [split for turn in itertools.zip_longest(*of_files) for split in turn if split is not None]

    def _whole_files(self, parallelism: int) -> bool:
        return self.by_time and len(self.files()) >= parallelism

    def files(self) -> list[Path]:
        """The files to read that exist now, sorted."""
        files = list_files(self.paths)
        return files if self.keeps is None else [file for file in files if self.keeps(str(file))]

    def splits_of(self, file: Path, parallelism: int) -> list[FileSplit]:
        """The splits of one file."""
        path = str(file)
        if isinstance(self.file_format, PieceFormat):
            pieces = self.file_format.pieces(path)
            cuts = min(pieces, parallelism * 4) if parallelism > 1 else min(pieces, 1)
            edges = [pieces * i // cuts for i in range(cuts + 1)] if cuts else []
            return [FileSplit(path, a, b, a) for a, b in itertools.pairwise(edges)]
        if parallelism == 1 or is_compressed(path) or not self.file_format.splittable:
            return [FileSplit(path, 0, None, 0)]
        size = file.stat().st_size
        step = min(SPLIT_BYTES_MAX, max(SPLIT_BYTES_MIN, -(-size // (parallelism * 4))))
        return [FileSplit(path, a, min(a + step, size), a) for a in range(0, size, step)]

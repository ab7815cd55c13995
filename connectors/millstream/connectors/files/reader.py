"""The reader of line formats: splits to chunks, chunks to batches."""

from __future__ import annotations

from collections import deque

from millstream.connectors.files.formats.line_format import LineDecoder, LineFormat
from millstream.connectors.files.lines import LineChunks
from millstream.connectors.files.malformed import MalformedPolicy
from millstream.connectors.files.split import FileSplit
from millstream.core.api.source import PollStatus, ReaderContext, SourceReader, SplitBatch
from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.errors import ExternalError


class LineFileReader(SourceReader[FileSplit]):
    """Reads one split after the other, inline: local files do not block for long."""

    def __init__(self, line_format: LineFormat, policy: MalformedPolicy, context: ReaderContext) -> None:
        self._format = line_format
        self._policy = policy
        self._context = context
        self._splits: deque[FileSplit] = deque()
        self._chunks: LineChunks | None = None
        self._decoder: LineDecoder | None = None
        self._no_more = False

    def add_splits(self, splits: list[FileSplit]) -> None:
        self._splits.extend(splits)

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def poll(self) -> SplitBatch | PollStatus:
        if not self._splits:
            return PollStatus.END_OF_INPUT if self._no_more else PollStatus.SPLIT_WANTED
        split = self._splits[0]
        try:
            if self._chunks is None or self._decoder is None:
                self._decoder = self._format.create_decoder(split.path)
                self._chunks = LineChunks(split)
            chunk = self._chunks.next(self._rows_max())
        except OSError as error:
            raise ExternalError(f"cannot read {split.path}: {error.strerror or error}") from error
        except EOFError as error:
            raise ExternalError(f"{split.path} ends in the middle of its compressed data") from error
        if chunk is None:
            self._finish_split()
            return SplitBatch(ObjectBatch([]), split.split_id, split_finished=True)
        offset, data = chunk
        decoded = self._decoder.decode(data, offset == 0)
        side: tuple[tuple[str, Batch], ...] = ()
        if decoded.nulled:
            self._context.report_malformed(decoded.nulled)
        if decoded.bad:
            rows = self._policy.apply(split.path, offset, decoded.bad)
            self._context.report_malformed(len(decoded.bad))
            if rows:
                side = ((self._policy.action, ObjectBatch(list(rows))),)
        batch = ObjectBatch(decoded.values) if decoded.records is None else ArrowBatch(decoded.records)
        return SplitBatch(batch, split.split_id, side_outputs=side)

    def snapshot_state(self) -> list[FileSplit]:
        splits = list(self._splits)
        if splits and self._chunks is not None:
            first = splits[0]
            splits[0] = FileSplit(first.path, first.start, first.stop, self._chunks.position)
        return splits

    def close(self) -> None:
        if self._chunks is not None:
            self._chunks.close()
            self._chunks = None

    def _rows_max(self) -> int:
        return self._context.column_rows_max if self._format.emits_columns else self._context.batch_rows_max

    def _finish_split(self) -> None:
        self.close()
        self._decoder = None
        self._splits.popleft()

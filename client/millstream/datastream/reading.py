"""Sources of an environment: collections, sequences, files, sockets, and any ``Source``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from millstream.core.api.source import Source
from millstream.core.api.types import TypeInformation, Types
from millstream.core.api.watermarks import WatermarkStrategy
from millstream.core.graph.specs import SourceSpec
from millstream.datastream.arguments import instance_argument, text_argument
from millstream.datastream.call_site import refuse
from millstream.datastream.data_stream import DataStream
from millstream.datastream.inference import declared_type, returned_type, type_of_values
from millstream.datastream.program import ParallelismLimit, Program
from millstream.datastream.stream import Upstream
from millstream.datastream.writing import directory

T = TypeVar("T")

Paths = str | Path | Sequence[str | Path]


class ReadingEnvironment(ABC):
    """The ways into a program. Connectors are imported when they are used."""

    _program: Program

    def from_collection(self, collection: Iterable[T], type_info: Any = None) -> DataStream[T]:
        """The values, in order, from one subtask. They travel with the job: keep them few."""
        from millstream.connectors.collection import CollectionSource

        if isinstance(collection, str | bytes | Mapping) or not isinstance(collection, Iterable):
            raise refuse(
                f"from_collection takes a list or another iterable of records, not {collection!r:.60} of type "
                f"{type(collection).__name__}."
            )
        values = list(collection)
        record_type = declared_type(type_info, "from_collection")
        if record_type is not None:
            for position, value in enumerate(values):
                reason = record_type.check(value)
                if reason is not None:
                    raise refuse(f"from_collection: the value at position {position} does not fit its type: {reason}.")
        return self._source(CollectionSource(values), None, "collection", record_type or type_of_values(values))

    def from_source(
        self,
        source: Source[Any],
        watermark_strategy: WatermarkStrategy | None = None,
        source_name: str = "source",
        type_info: Any = None,
    ) -> DataStream[Any]:
        """Any source; event times and watermarks are made for each of its splits."""
        instance_argument(source, Source, "from_source", "NumberSequenceSource(1, 10)")
        if watermark_strategy is not None:
            call, example = "from_source", "WatermarkStrategy.no_watermarks()"
            instance_argument(watermark_strategy, WatermarkStrategy, call, example)
        text_argument(source_name, "from_source")
        return self._source(source, watermark_strategy, source_name, declared_type(type_info, "from_source"))

    def from_sequence(self, start: int, end: int, rows_per_second: float | None = None) -> DataStream[int]:
        """The whole numbers ``start`` to ``end``, both included; ``rows_per_second`` of all subtasks together."""
        from millstream.connectors.sequence import NumberSequenceSource

        return self._made("sequence", Types.LONG(), NumberSequenceSource, start, end, rows_per_second)

    def from_generator(
        self, function: Callable[[int], T], count: int | None = None, rows_per_second: float | None = None
    ) -> DataStream[T]:
        """``function(i)`` for i from 0; without ``count`` for ever."""
        from millstream.connectors.sequence import DataGeneratorSource

        record_type = returned_type(function, "__call__")
        return self._made("generator", record_type, DataGeneratorSource, function, count, rows_per_second)

    def read_text(self, path: Paths, encoding: str = "utf-8", on_malformed: Any = "fail") -> DataStream[str]:
        """The lines of text files. ``path``: files, directories or globs; ``.gz`` and ``.zst`` are decompressed.

        ``on_malformed`` (lines that are not text): ``"fail"``, ``"skip"``, or an ``OutputTag`` that takes them aside.
        """
        from millstream.connectors.files.api import text_source

        return self._made("text files", Types.STRING(), text_source, absolute(path), encoding, on_malformed)

    def read_json(self, path: Paths, schema: Any = None, on_malformed: Any = "fail") -> DataStream[Any]:
        """JSON files, a record a line.

        ``schema``: ``{"field": type}``, a dataclass, NamedTuple or TypedDict; other fields are skipped.
        """
        from millstream.connectors.files.api import json_source

        return self._made("JSON files", None, json_source, absolute(path), schema, on_malformed)

    def read_csv(
        self,
        path: Paths,
        columns: Sequence[str] | None = None,
        schema: Mapping[str, Any] | type | None = None,
        records: str | type = "dict",
        delimiter: str = ",",
        quote: str = '"',
        header: bool = True,
        column_names: Sequence[str] | None = None,
        null_values: Sequence[str] | None = None,
        multiline: bool = False,
        on_malformed: Any = "fail",
    ) -> DataStream[Any]:
        """CSV files.

        ``columns``: those to read. ``schema``: types by column, or a dataclass or NamedTuple that also says what
        records are. ``records``: ``"dict"``, ``"tuple"``, or a dataclass or NamedTuple. ``column_names``: for files
        without ``header``. ``multiline``: quoted fields may hold line ends; such files are not read in parallel.
        """
        from millstream.connectors.files.api import csv_source

        return self._made(
            "CSV files",
            declared_type(schema, "read_csv") if isinstance(schema, type) else None,
            csv_source,
            absolute(path),
            columns,
            schema,
            records,
            delimiter,
            quote,
            header,
            column_names,
            null_values,
            multiline,
            on_malformed,
        )

    def read_parquet(
        self, path: Paths, columns: Sequence[str] | None = None, records: str | type | None = "dict"
    ) -> DataStream[Any]:
        """Parquet files; ``records="arrow"`` keeps them columnar."""
        from millstream.connectors.files.api import parquet_source

        return self._made("Parquet files", None, parquet_source, absolute(path), columns, records)

    def socket_text_stream(self, host: str, port: int, delimiter: str = "\n") -> DataStream[str]:
        """Lines from a TCP server, until it closes."""
        from millstream.connectors.socket import SocketTextSource

        return self._made("socket", Types.STRING(), SocketTextSource, host, port, delimiter)

    def _made(
        self, name: str, record_type: TypeInformation | None, make: Callable[..., Source[Any]], *arguments: Any
    ) -> DataStream[Any]:
        """A stream from a connector; arguments it refuses are told at the user's line."""
        try:
            source = make(*arguments)
        except (TypeError, ValueError) as error:
            raise refuse(str(error)) from error
        return self._source(source, None, name, record_type)

    def _source(
        self, source: Source[Any], strategy: WatermarkStrategy | None, name: str, record_type: TypeInformation | None
    ) -> DataStream[Any]:
        produced = source.produced_type
        if record_type is None and isinstance(produced, TypeInformation):
            record_type = produced
        limit = None
        if source.parallelism_max is not None:
            limit = ParallelismLimit(source.parallelism_max, "the source cannot be read by more subtasks")
        spec = SourceSpec(source, strategy)
        node = self._program.add(name, spec, [], key_selectors=(), output_type=record_type, limit=limit)
        return DataStream(self._this(), [Upstream(node)], record_type)

    @abstractmethod
    def _this(self) -> Any:
        """The environment, by its own type."""


def absolute(path: Any) -> list[str]:
    """All paths, absolute: slots have another working directory than the script."""
    paths = [path] if isinstance(path, str | Path) else path
    if not isinstance(paths, list | tuple) or not paths:
        raise refuse(f"a path is a text, a Path or a list of those, not {path!r:.60} of type {type(path).__name__}.")
    return [directory(item) for item in paths]

"""``StreamExecutionEnvironment``: where programs begin (``pyflink.datastream.stream_execution_environment``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from millstream.common.configuration import Configuration
from millstream.core.api.source import Source
from millstream.core.api.time import DurationLike, parse_duration_ms
from millstream.core.api.watermarks import WatermarkStrategy
from millstream.core.graph.specs import SourceSpec
from millstream.datastream.arguments import instance_argument, parallelism_argument, refuse
from millstream.datastream.data_stream import DataStream
from millstream.datastream.graph_builder import GraphBuilder
from millstream.datastream.runtime_mode import RuntimeExecutionMode

if TYPE_CHECKING:
    from millstream.client.job_client import JobClient
    from millstream.client.translate import TranslatedJob
    from millstream.core.api.job import JobExecutionResult


class StreamExecutionEnvironment:
    """Holds the program until ``execute`` runs it."""

    def __init__(self, configuration: Configuration | None = None) -> None:
        self._builder = GraphBuilder()
        self._settings: dict[str, Any] = configuration.to_dict() if configuration else {}
        self._parallelism: int | None = None
        self._max_parallelism: int | None = None
        self._buffer_timeout_ms: int | None = None
        self._chaining = True

    @staticmethod
    def get_execution_environment(configuration: Configuration | None = None) -> StreamExecutionEnvironment:
        """The environment of this process: an embedded cluster, or the one that settings or ``millstream run`` name."""
        return StreamExecutionEnvironment(configuration)

    # -- settings ---------------------------------------------------------------------------------------------------

    def configure(self, configuration: Configuration | Mapping[str, Any]) -> None:
        """Settings for the jobs of this environment."""
        if not isinstance(configuration, Configuration):
            configuration = Configuration(dict(configuration))
        self._settings.update(configuration.to_dict())

    def set_parallelism(self, parallelism: int) -> StreamExecutionEnvironment:
        """Of operators that set none themselves; by default the number of slots."""
        self._parallelism = parallelism_argument(parallelism, "set_parallelism")
        return self

    def get_parallelism(self) -> int:
        """The default parallelism."""
        if self._parallelism is not None:
            return self._parallelism
        from millstream.client.session import current_session

        configured = self._settings.get("parallelism.default")
        return int(configured) if configured is not None else current_session().default_parallelism()

    def set_max_parallelism(self, max_parallelism: int) -> StreamExecutionEnvironment:
        """Key groups of operators that set none themselves."""
        self._max_parallelism = parallelism_argument(max_parallelism, "set_max_parallelism")
        return self

    def set_buffer_timeout(self, timeout: DurationLike) -> StreamExecutionEnvironment:
        """How long small batches may wait for more."""
        self._buffer_timeout_ms = parse_duration_ms(timeout)
        return self

    def disable_operator_chaining(self) -> StreamExecutionEnvironment:
        """Run every operator as a task of its own."""
        self._chaining = False
        return self

    def set_runtime_mode(self, execution_mode: RuntimeExecutionMode) -> StreamExecutionEnvironment:
        """Only streaming exists in this version; a bounded job gives the same results."""
        if execution_mode is RuntimeExecutionMode.BATCH:
            raise refuse("batch mode does not exist in this version; a bounded streaming job gives the same results")
        return self

    # -- sources ----------------------------------------------------------------------------------------------------

    def from_collection(self, collection: Iterable[Any], type_info: Any = None) -> DataStream[Any]:
        """The values, in order, from one subtask."""
        from millstream.connectors.collection import CollectionSource

        if isinstance(collection, str | bytes) or not isinstance(collection, Iterable):
            raise refuse(f"from_collection takes a list or another iterable of values, not {collection!r:.100}")
        return self._source(CollectionSource(collection, type_info), None, "Source: collection", type_info)

    def from_source(
        self,
        source: Source[Any],
        watermark_strategy: WatermarkStrategy | None = None,
        source_name: str = "source",
        type_info: Any = None,
    ) -> DataStream[Any]:
        """Any source, with watermarks of each of its splits."""
        instance_argument(source, ("create_enumerator", "create_reader"), "from_source", "Source")
        if watermark_strategy is not None and not isinstance(watermark_strategy, WatermarkStrategy):
            raise refuse(f"from_source takes a WatermarkStrategy, not {watermark_strategy!r:.100}")
        return self._source(source, watermark_strategy, f"Source: {source_name}", type_info)

    def from_sequence(self, start: int, end: int, rows_per_second: float | None = None) -> DataStream[int]:
        """The whole numbers from ``start`` to ``end``, both included."""
        from millstream.connectors.sequence import NumberSequenceSource

        return self._source(NumberSequenceSource(start, end, rows_per_second), None, "Source: sequence", int)

    def read_text(self, path: Any, **options: Any) -> DataStream[str]:
        """Lines of text files. ``options``: ``encoding``, ``on_malformed``."""
        from millstream.connectors.files.api import text_source

        return self._files(text_source(_paths(path), **options), "text")

    read_text_file = read_text

    def read_json(self, path: Any, schema: Any = None, **options: Any) -> DataStream[Any]:
        """NDJSON files. ``schema``: None, ``{"field": type}``, a dataclass, NamedTuple or TypedDict."""
        from millstream.connectors.files.api import json_source

        return self._files(json_source(_paths(path), schema, **options), "JSON")

    def read_csv(
        self,
        path: Any,
        columns: Sequence[str] | None = None,
        schema: Mapping[str, Any] | type | None = None,
        **options: Any,
    ) -> DataStream[Any]:
        """CSV files; see ``millstream.connectors.files.api.csv_source`` for the options."""
        from millstream.connectors.files.api import csv_source

        return self._files(csv_source(_paths(path), columns, schema, **options), "CSV")

    def read_parquet(self, path: Any, columns: Sequence[str] | None = None, **options: Any) -> DataStream[Any]:
        """Parquet files; ``records="arrow"`` keeps them columnar."""
        from millstream.connectors.files.api import parquet_source

        return self._files(parquet_source(_paths(path), columns, **options), "Parquet")

    def socket_text_stream(self, host: str, port: int, delimiter: str = "\n") -> DataStream[str]:
        """Lines from a TCP server."""
        from millstream.connectors.socket import SocketTextSource

        return self._source(SocketTextSource(host, port, delimiter), None, "Source: socket", str)

    # -- running ----------------------------------------------------------------------------------------------------

    def execute(self, job_name: str | None = None) -> JobExecutionResult:
        """Run the program and wait for its end."""
        return self.execute_async(job_name).wait()

    def execute_async(self, job_name: str | None = None) -> JobClient:
        """Submit the program and return a handle."""
        from millstream.client.submit import default_submitter

        translated = self._translate(job_name)
        self._builder.clear()
        return default_submitter().submit(translated)

    def get_execution_plan(self) -> str:
        """The program as JSON: nodes, and edges with how records are shipped."""
        from millstream.client.plan import plan_json
        from millstream.client.session import slots_needed

        graph = self._translate(None).graph
        return json.dumps(plan_json(graph, slots_needed(graph)), indent=2)

    # -- inner ------------------------------------------------------------------------------------------------------

    def _source(
        self, source: Source[Any], strategy: WatermarkStrategy | None, name: str, type_info: Any
    ) -> DataStream[Any]:
        output_type = type_info if type_info is not None else source.produced_type
        node = self._builder.add(name, SourceSpec(source, strategy), source.parallelism_max, [], (), output_type)
        return DataStream(self, node)

    def _files(self, source: Source[Any], kind: str) -> DataStream[Any]:
        return self._source(source, None, f"Source: {kind} files", None)

    def _submit_collecting(self, job_name: str | None, node_id: int) -> tuple[JobClient, str]:
        from millstream.client.submit import default_submitter

        translated = self._translate(job_name)
        self._builder.clear()
        return default_submitter().submit(translated), translated.operator_ids[node_id]

    def _translate(self, job_name: str | None) -> TranslatedJob:
        import secrets

        from millstream.client.session import current_session
        from millstream.client.translate import translate

        configuration = current_session().configuration
        if self._settings:
            configuration = configuration.with_values(self._settings, "the program")
        graph = self._builder.graph
        graph.job_name = job_name or "Millstream job"
        return translate(
            graph,
            secrets.token_hex(16),
            configuration,
            default_parallelism=self.get_parallelism(),
            max_parallelism=self._max_parallelism,
            buffer_timeout_ms=self._buffer_timeout_ms,
            chaining=self._chaining,
        )


def _paths(path: Any) -> list[str]:
    """Absolute, for slots have another working directory than the script."""
    from pathlib import Path

    paths = [path] if isinstance(path, str) or hasattr(path, "__fspath__") else list(path)
    return [str(Path(item).expanduser().absolute()) for item in paths]

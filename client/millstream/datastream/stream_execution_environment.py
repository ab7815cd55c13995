"""``StreamExecutionEnvironment``: where programs begin (``pyflink.datastream.stream_execution_environment``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from millstream.common.configuration import Configuration
from millstream.common.execution_config import ExecutionConfig
from millstream.core.api.time import DurationLike, parse_duration_ms
from millstream.core.config import options
from millstream.core.errors import PicklingError
from millstream.datastream.arguments import parallelism_argument, text_argument
from millstream.datastream.call_site import refuse
from millstream.datastream.checkpoint_config import CheckpointConfig, CheckpointingMode
from millstream.datastream.execution_mode import RuntimeExecutionMode
from millstream.datastream.program import Program
from millstream.datastream.reading import ReadingEnvironment

if TYPE_CHECKING:
    from millstream.client.job_client import JobClient
    from millstream.core.api.job import JobExecutionResult
    from millstream.core.config import Configuration as EffectiveConfiguration
    from millstream.core.graph.stream_graph import StreamGraph
    from millstream.core.ids import OperatorId

ORIGIN = "the program"
DEFAULT_JOB_NAME = "Millstream job"


class StreamExecutionEnvironment(ReadingEnvironment):
    """Holds the program until ``execute`` runs it. Used by one thread.

    What is set here wins over ``-D``, the environment and ``millstream.toml``.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self._program = Program()
        self._settings = Configuration(configuration)
        self._buffer_timeout_ms: int | None = None

    @staticmethod
    def get_execution_environment(configuration: Configuration | None = None) -> StreamExecutionEnvironment:
        """Its jobs go to the cluster that settings or ``millstream run`` name, else to an embedded one."""
        if configuration is not None and not isinstance(configuration, Configuration):
            raise refuse(f"get_execution_environment takes a Configuration, not {configuration!r:.60}.")
        return StreamExecutionEnvironment(configuration)

    def __reduce__(self) -> NoReturn:
        raise PicklingError("an environment cannot travel: functions see records, not the program")

    # -- settings -----------------------------------------------------------------------------------------------------

    def get_config(self) -> ExecutionConfig:
        """The settings of this environment, by methods; changes count."""
        return ExecutionConfig(self._settings)

    def configure(self, configuration: Configuration | Mapping[str, Any]) -> None:
        """Add settings by key."""
        given = configuration if isinstance(configuration, Configuration) else Configuration.of(configuration)
        self._settings.add_all(given)

    def set_parallelism(self, parallelism: int) -> StreamExecutionEnvironment:
        """Parallelism of operators that set none themselves; by default the number of slots."""
        number = parallelism_argument(parallelism, "set_parallelism")
        self._settings.set(options.PARALLELISM_DEFAULT.key, number)
        return self

    def get_parallelism(self) -> int:
        """Parallelism of operators that set none themselves. May ask the cluster for its slots."""
        from millstream.client.session import current_session

        return self._effective()[options.PARALLELISM_DEFAULT] or current_session().default_parallelism()

    def set_max_parallelism(self, max_parallelism: int) -> StreamExecutionEnvironment:
        """Key groups of operators that set none themselves."""
        number = parallelism_argument(max_parallelism, "set_max_parallelism")
        self._settings.set(options.PIPELINE_MAX_PARALLELISM.key, number)
        return self

    def get_max_parallelism(self) -> int:
        """Key groups of operators that set none themselves."""
        return self._effective()[options.PIPELINE_MAX_PARALLELISM]

    def set_buffer_timeout(self, timeout_millis: DurationLike) -> StreamExecutionEnvironment:
        """How long records may wait for others to fill a batch: 0 for not at all, -1 until the batch is full."""
        timeout_ms = parse_duration_ms(timeout_millis)
        if timeout_ms < -1:
            raise refuse(f"set_buffer_timeout takes -1, 0 or more milliseconds, not {timeout_ms}.")
        self._buffer_timeout_ms = timeout_ms
        return self

    def get_buffer_timeout(self) -> int:
        """Milliseconds; -1 for no limit."""
        if self._buffer_timeout_ms is not None:
            return self._buffer_timeout_ms
        return round(self._effective()[options.EXECUTION_BUFFER_TIMEOUT].total_seconds() * 1000)

    def enable_checkpointing(
        self, interval: DurationLike, mode: CheckpointingMode = CheckpointingMode.EXACTLY_ONCE
    ) -> StreamExecutionEnvironment:
        """Take a checkpoint every ``interval``; a job that fails starts again from the last one."""
        self.get_checkpoint_config().set_checkpoint_interval(interval).set_checkpointing_mode(mode)
        return self

    def get_checkpoint_config(self) -> CheckpointConfig:
        """The checkpoint settings of this environment, by methods; changes count."""
        return CheckpointConfig(self._settings)

    def disable_operator_chaining(self) -> StreamExecutionEnvironment:
        """Run every operator as a task of its own."""
        self._settings.set(options.PIPELINE_OPERATOR_CHAINING.key, False)
        return self

    def is_chaining_enabled(self) -> bool:
        return self._effective()[options.PIPELINE_OPERATOR_CHAINING]

    def set_runtime_mode(self, execution_mode: RuntimeExecutionMode) -> StreamExecutionEnvironment:
        """STREAMING or AUTOMATIC, which is the same in this version."""
        if not isinstance(execution_mode, RuntimeExecutionMode):
            raise refuse(f"set_runtime_mode takes a RuntimeExecutionMode, not {execution_mode!r:.60}.")
        if execution_mode is RuntimeExecutionMode.BATCH:
            raise refuse(
                "batch mode does not exist in this version. Use STREAMING: a bounded job ends by itself; only rolling "
                "aggregates differ, which emit every intermediate result."
            )
        return self

    # -- running ------------------------------------------------------------------------------------------------------

    def execute(self, job_name: str | None = None) -> JobExecutionResult:
        """Run the program and wait for its end. Raises what made the job fail."""
        return self.execute_async(job_name).wait()

    def execute_async(self, job_name: str | None = None) -> JobClient:
        """Submit the program and return a handle."""
        job, _ = self._submit(job_name)
        return job

    def get_execution_plan(self) -> str:
        """The program as JSON in Flink's form: a node an operator, with its predecessors and how they ship records."""
        from millstream.datastream.execution_plan import execution_plan

        return json.dumps(execution_plan(self.get_stream_graph()), indent=2)

    def get_stream_graph(self, job_name: str | None = None) -> StreamGraph:
        """The graph of the next job, all defaults filled in. Later calls do not change it."""
        configured = self._effective()[options.PIPELINE_NAME]
        name = text_argument(job_name, "execute") if job_name is not None else configured or DEFAULT_JOB_NAME
        return self._program.build(name, self.get_parallelism())

    # -- inner --------------------------------------------------------------------------------------------------------

    def _this(self) -> StreamExecutionEnvironment:
        return self

    def _effective(self) -> EffectiveConfiguration:
        from millstream.client.session import current_session

        return current_session().configuration.with_values(self._settings.to_dict(), ORIGIN)

    def _submit(self, job_name: str | None) -> tuple[JobClient, Mapping[int, OperatorId]]:
        from millstream.client.submit import submit_graph

        settings = self._effective().flatten_for_job()
        settings[options.EXECUTION_BUFFER_TIMEOUT.key] = self.get_buffer_timeout()
        submitted = submit_graph(self.get_stream_graph(job_name), settings)
        self._program.start_next_job()
        return submitted

"""Settings of an environment by methods (``pyflink.common.execution_config``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millstream.common.configuration import Configuration
from millstream.core.api.time import DurationLike, parse_duration_ms
from millstream.core.config import options


class ExecutionConfig:
    """A view of the settings of one environment: what is set here is set there."""

    def __init__(self, settings: Configuration | None = None) -> None:
        self._settings = Configuration() if settings is None else settings

    def set_parallelism(self, parallelism: int) -> ExecutionConfig:
        return self._set(options.PARALLELISM_DEFAULT, parallelism)

    def get_parallelism(self) -> int:
        """-1 if the program has not set it."""
        return int(self._settings.get(options.PARALLELISM_DEFAULT.key, -1))

    def set_max_parallelism(self, max_parallelism: int) -> ExecutionConfig:
        return self._set(options.PIPELINE_MAX_PARALLELISM, max_parallelism)

    def get_max_parallelism(self) -> int:
        """-1 if the program has not set it."""
        return int(self._settings.get(options.PIPELINE_MAX_PARALLELISM.key, -1))

    def set_auto_watermark_interval(self, interval: DurationLike) -> ExecutionConfig:
        """How often watermarks are emitted at least."""
        return self._set(options.PIPELINE_AUTO_WATERMARK_INTERVAL, parse_duration_ms(interval))

    def get_auto_watermark_interval(self) -> int:
        """Milliseconds; the default if the program has not set it."""
        return parse_duration_ms(self._settings.get(options.PIPELINE_AUTO_WATERMARK_INTERVAL.key, 200))

    def enable_generic_types(self) -> ExecutionConfig:
        """Values without a typed encoding may travel pickled."""
        return self._set(options.PIPELINE_GENERIC_TYPES, True)

    def disable_generic_types(self) -> ExecutionConfig:
        """Values without a typed encoding make the job fail."""
        return self._set(options.PIPELINE_GENERIC_TYPES, False)

    def has_generic_types_disabled(self) -> bool:
        return str(self._settings.get(options.PIPELINE_GENERIC_TYPES.key, True)).lower() == "false"

    def set_global_job_parameters(self, global_job_parameters_dict: Mapping[str, Any]) -> ExecutionConfig:
        """What functions read with ``RuntimeContext.get_job_parameter``."""
        parameters = {str(key): str(value) for key, value in global_job_parameters_dict.items()}
        return self._set(options.PIPELINE_GLOBAL_JOB_PARAMETERS, parameters)

    def get_global_job_parameters(self) -> dict[str, str]:
        return dict(self._settings.get(options.PIPELINE_GLOBAL_JOB_PARAMETERS.key, {}))

    def _set(self, option: options.Option[Any], value: Any) -> ExecutionConfig:
        self._settings.set(option.key, value)
        return self

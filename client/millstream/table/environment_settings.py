"""``EnvironmentSettings`` (``pyflink.table.EnvironmentSettings``)."""

from __future__ import annotations

from millstream.common.configuration import Configuration
from millstream.core.config import options


class EnvironmentSettings:
    """What an environment begins with. Immutable; made by ``in_streaming_mode``, ``in_batch_mode`` or a builder."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    @staticmethod
    def in_streaming_mode() -> EnvironmentSettings:
        """Results change as input comes."""
        return EnvironmentSettings.new_instance().in_streaming_mode().build()

    @staticmethod
    def in_batch_mode() -> EnvironmentSettings:
        """All input is bounded, and only final results count."""
        return EnvironmentSettings.new_instance().in_batch_mode().build()

    @staticmethod
    def new_instance() -> Builder:
        return Builder()

    def is_streaming_mode(self) -> bool:
        mode = self._configuration.get(options.EXECUTION_RUNTIME_MODE.key, "STREAMING")
        return str(mode).upper() != "BATCH"

    def get_configuration(self) -> Configuration:
        return self._configuration

    def get_built_in_catalog_name(self) -> str | None:
        """The name asked for the first catalog; None for the default."""
        return self._configuration.get_string(options.TABLE_BUILTIN_CATALOG.key)

    def get_built_in_database_name(self) -> str | None:
        return self._configuration.get_string(options.TABLE_BUILTIN_DATABASE.key)


class Builder:
    """Collects settings until ``build``."""

    def __init__(self) -> None:
        self._configuration = Configuration()

    def in_streaming_mode(self) -> Builder:
        self._configuration.set(options.EXECUTION_RUNTIME_MODE.key, "STREAMING")
        return self

    def in_batch_mode(self) -> Builder:
        self._configuration.set(options.EXECUTION_RUNTIME_MODE.key, "BATCH")
        return self

    def with_configuration(self, config: Configuration) -> Builder:
        self._configuration.add_all(config)
        return self

    def with_built_in_catalog_name(self, built_in_catalog_name: str) -> Builder:
        self._configuration.set(options.TABLE_BUILTIN_CATALOG.key, built_in_catalog_name)
        return self

    def with_built_in_database_name(self, built_in_database_name: str) -> Builder:
        self._configuration.set(options.TABLE_BUILTIN_DATABASE.key, built_in_database_name)
        return self

    def build(self) -> EnvironmentSettings:
        return EnvironmentSettings(Configuration(self._configuration))

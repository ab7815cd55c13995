"""``'connector' = 'blackhole'``: takes all rows and keeps none."""

from __future__ import annotations

from millstream.connectors.discard import DiscardSink
from millstream.core.api.sink import Sink
from millstream.core.config.values import Integer
from millstream.core.table.connectors import ChangelogMode, TableConnector, TableDescription
from millstream.core.table.table_options import TableOption, TableOptions


class BlackholeConnector(TableConnector):
    """The sink of benchmarks."""

    identifier = "blackhole"
    optional_options = {"sink.parallelism": TableOption("Parallelism of the sink.", Integer(1))}

    def accepted_changelog(self, description: TableDescription, requested: ChangelogMode) -> ChangelogMode:
        return requested

    def open_sink(self, description: TableDescription, options: TableOptions, changelog_mode: ChangelogMode) -> Sink:
        return DiscardSink()

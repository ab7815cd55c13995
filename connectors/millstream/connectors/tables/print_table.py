"""``'connector' = 'print'``: each change on a line of the TaskManager's output."""

from __future__ import annotations

from millstream.connectors.print_sink import PrintSink
from millstream.core.api.sink import Sink
from millstream.core.config.values import Boolean, Integer
from millstream.core.table.connectors import ChangelogMode, TableConnector, TableDescription
from millstream.core.table.table_options import TableOption, TableOptions


class PrintConnector(TableConnector):
    """``identifier:3> +I[1, abc]``; the number of the subtask only with a parallelism above 1."""

    identifier = "print"
    optional_options = {
        "print-identifier": TableOption("Stands before each row.", default=""),
        "standard-error": TableOption("Print to stderr instead of stdout.", Boolean(), False),
        "sink.parallelism": TableOption("Parallelism of the sink.", Integer(1)),
    }

    def accepted_changelog(self, description: TableDescription, requested: ChangelogMode) -> ChangelogMode:
        return requested

    def open_sink(self, description: TableDescription, options: TableOptions, changelog_mode: ChangelogMode) -> Sink:
        return PrintSink(options.get("print-identifier"), options.get("standard-error"), changelog=True)

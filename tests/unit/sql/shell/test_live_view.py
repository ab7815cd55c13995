"""A result on the whole screen: it follows the rows, pages, and cancels the query when the user leaves."""

import threading
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from millstream.client.sql_shell.live_view import LiveView
from millstream.core.config import load
from millstream.core.elements.batch import ArrowBatch, RowKind
from millstream.core.errors import ExternalError
from millstream.core.table import logical_types as t
from millstream.core.table.row_type import Column, RowType


class EndlessResult:
    """Rows 0 to 9, of which 9 becomes 90; then it waits until it is closed, and fails if ``error`` is given."""

    insert_only = False
    job_id = "job"
    row_type = RowType((Column("n", t.INT),))

    def __init__(self, error: Exception | None = None) -> None:
        self.closed = threading.Event()
        self.sent = threading.Event()
        self._error = error

    def __iter__(self) -> Iterator[ArrowBatch]:
        numbers = [*range(10), 9, 90]
        kinds = [*[RowKind.INSERT] * 10, RowKind.UPDATE_BEFORE, RowKind.UPDATE_AFTER]
        records = pa.record_batch({"n": pa.array(numbers, pa.int32())})
        yield ArrowBatch(records, None, np.array(kinds, np.int8))
        self.sent.set()
        if self._error is not None:
            raise self._error
        self.closed.wait(30)

    def close(self) -> None:
        self.closed.set()


def leave_when_sent(result: EndlessResult, mode: str, keys: str) -> LiveView:
    """Run the view, press ``keys`` once all rows were sent, and then q."""
    settings = load(overrides={"sql-client.execution.result-mode": mode})
    with create_pipe_input() as pipe:
        view = LiveView(result, settings, input=pipe, output=DummyOutput())

        def press() -> None:
            result.sent.wait(30)
            pipe.send_text(keys + "q")

        presser = threading.Thread(target=press)
        presser.start()
        try:
            view.run()
        finally:
            presser.join()
    return view


def cells(view: LiveView, height: int) -> list[str]:
    return [line.strip("| ") for line in view.lines(height)[3:-1]]


def test_the_table_follows_its_last_page() -> None:
    result = EndlessResult()
    view = leave_when_sent(result, "TABLE", "")
    assert result.closed.is_set()
    assert cells(view, 6 + 4) == ["8", "90"]
    assert "page 3 of 3   10 rows   12 changes" in view.status(6 + 4)


def test_pages_turn_and_stay() -> None:
    view = leave_when_sent(EndlessResult(), "TABLE", "lg")
    assert cells(view, 6 + 4) == ["0", "1", "2", "3"]


def test_changes_are_shown_with_their_kind() -> None:
    view = leave_when_sent(EndlessResult(), "CHANGELOG", "")
    kinds = [line.split(" | ")[0].strip("| ") for line in view.lines(6 + 4)[3:-1]]
    assert kinds == ["+I", "+I", "-U", "+U"]


def test_what_made_the_job_fail_is_raised_when_the_user_leaves() -> None:
    with pytest.raises(ExternalError, match="the disk is full"):
        leave_when_sent(EndlessResult(ExternalError("the disk is full")), "TABLE", "")

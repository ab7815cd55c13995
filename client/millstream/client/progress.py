"""Showing how a job gets on: a live table on a terminal, plain lines elsewhere. Both write to standard error."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from millstream.client.job_client import OnDetails
from millstream.client.progress_figures import FigureReader, JobFigures, count_text, watermark_text
from millstream.core.clock import Clock

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from millstream.proto.v1.jobmanager_pb2 import JobDetails

LINE_INTERVAL_S = 5.0
BAR_CELLS = 10
PUMP_READ_BYTES = 65536
PUMP_WAIT_S = 0.2


class LineProgress:
    """One line when the status changes and every few seconds in between."""

    def __init__(self, clock: Clock, stream: TextIO) -> None:
        self._clock = clock
        self._stream = stream

    @contextmanager
    def show(self) -> Iterator[OnDetails]:
        """For ``JobClient(show_progress=...)``."""
        reader = FigureReader(self._clock.monotonic_s())
        last_text = ""
        next_line_s = 0.0

        def on_details(details: JobDetails) -> None:
            nonlocal last_text, next_line_s
            now_s = self._clock.monotonic_s()
            figures = reader.read(details, now_s)
            text = f"{figures.status.name} {figures.waiting_for}"
            if text == last_text and now_s < next_line_s:
                return
            last_text, next_line_s = text, now_s + LINE_INTERVAL_S
            print(line(figures), file=self._stream, flush=True)

        yield on_details


class LiveProgress:
    """A table that is redrawn in place. ``pump`` carries what user functions print, so that it scrolls above it."""

    def __init__(self, clock: Clock, pump: OutputPump | None = None) -> None:
        self._clock = clock
        self._pump = pump

    @contextmanager
    def show(self) -> Iterator[OnDetails]:
        """For ``JobClient(show_progress=...)``."""
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        reader = FigureReader(self._clock.monotonic_s())
        with Live(console=console, auto_refresh=False, redirect_stdout=True, redirect_stderr=True) as live:

            def on_details(details: JobDetails) -> None:
                live.update(table(reader.read(details, self._clock.monotonic_s())), refresh=True)

            if self._pump is not None:
                self._pump.print_above(console)
            try:
                yield on_details
            finally:
                if self._pump is not None:
                    self._pump.drain()
                    self._pump.print_above(None)


class OutputPump:
    """A pipe whose content is printed by this process, line by line.

    The slots of an embedded cluster write to it, so that their lines do not tear the live table on the same terminal.
    """

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        self._console: Console | None = None
        self._incomplete = b""
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="task-output", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Print the rest and stop. Whoever else holds the write end can write no more."""
        self.drain()
        os.close(self.write_end)
        with self._lock:
            self._closed = True
        self._thread.join(1.0)

    def print_above(self, console: Console | None) -> None:
        """Print through ``console``, which keeps its live display below; None: straight to standard output."""
        with self._lock:
            self._console = console

    def drain(self) -> None:
        """Print all that has been written up to now, also a line without an end."""
        with self._lock:
            while self._copy():
                pass
            self._print(self._incomplete)
            self._incomplete = b""

    def _run(self) -> None:
        while not self._closed:
            select.select([self._read_end], [], [], PUMP_WAIT_S)
            with self._lock:
                self._copy()
        os.close(self._read_end)

    def _copy(self) -> bool:
        """Print the complete lines that are there; whether there was anything. The lock is held."""
        if not select.select([self._read_end], [], [], 0)[0]:
            return False
        read = os.read(self._read_end, PUMP_READ_BYTES)
        if not read:
            return False  # no writer is left
        data = self._incomplete + read
        end = data.rfind(b"\n") + 1
        self._incomplete = data[end:]
        self._print(data[:end])
        return True

    def _print(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        if self._console is not None and text:
            self._console.out(text, end="", highlight=False)
        elif text:
            sys.stdout.write(text)
            sys.stdout.flush()


def line(figures: JobFigures) -> str:
    """A reading in one line of plain text."""
    parts = [f"[{figures.elapsed_s:5.1f} s] {figures.status.name}"]
    if figures.waiting_for:
        parts.append(f"waiting for {figures.waiting_for}")
    if figures.trouble:
        parts.append(figures.trouble)
    if figures.records:
        parts.append(f"{count_text(figures.records)} records")
        parts.append(f"{count_text(figures.records_per_second)} records/s")
    if figures.watermark_ms is not None:
        parts.append(f"watermark {watermark_text(figures.watermark_ms)}")
    running = sum(vertex.running for vertex in figures.vertices)
    finished = sum(vertex.finished for vertex in figures.vertices)
    total = sum(vertex.parallelism for vertex in figures.vertices)
    parts.append(f"subtasks {running} running, {finished} finished of {total}")
    return ", ".join(parts)


def table(figures: JobFigures) -> RenderableType:
    """A reading as a table for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    waiting = f", waiting for {escape(figures.waiting_for)}" if figures.waiting_for else ""
    trouble = f", {escape(figures.trouble)}" if figures.trouble else ""
    title = (
        f"[bold]{escape(figures.name)}[/] {figures.status.name}{waiting}{trouble}  {figures.elapsed_s:.0f} s  "
        f"{count_text(figures.records)} records  {count_text(figures.records_per_second)}/s  "
        f"watermark {watermark_text(figures.watermark_ms)}"
    )
    grid = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False, expand=False)
    grid.add_column("operator", overflow="ellipsis", no_wrap=True, max_width=48)
    grid.add_column("subtasks", justify="right")
    for column in ("records", "records/s"):
        grid.add_column(column, justify="right", no_wrap=True)
    grid.add_column("busy", no_wrap=True)
    grid.add_column("back-pressured", no_wrap=True)
    grid.add_column("watermark", no_wrap=True)
    for vertex in figures.vertices:
        done = vertex.finished == vertex.parallelism
        grid.add_row(
            escape(vertex.name),
            "done" if done else f"{vertex.running}/{vertex.parallelism}",
            count_text(vertex.records),
            count_text(vertex.records_per_second),
            bar(vertex.busy),
            bar(vertex.backpressured),
            watermark_text(vertex.watermark_ms),
        )
    return grid


def bar(share: float) -> str:
    """``0.42`` as "████······  42 %"."""
    filled = round(share * BAR_CELLS)
    return f"{'█' * filled}{'·' * (BAR_CELLS - filled)} {share * 100:3.0f} %"

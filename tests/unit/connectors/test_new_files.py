"""Watched directories: each file once, also after a restore, and readers that ask again when nothing is new."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
from harness import Enumeration

from millstream.connectors.files.tables import file_table_source
from millstream.core.api.source import Boundedness, SplitEnumerator

SCHEMA = pa.schema([("a", pa.int64())])


def given(enumeration: Enumeration, enumerator: SplitEnumerator[object], subtask: int = 0) -> list[str]:
    """Names of the files that requests give until there is nothing."""
    names = []
    while True:
        enumerator.handle_split_request(subtask)
        if not enumeration.assigned[subtask]:
            return names
        names.append(Path(enumeration.assigned[subtask].popleft().path).name)


def test_new_files_are_found_once(tmp_path: Path) -> None:
    source = file_table_source(str(tmp_path), "json", SCHEMA, None, {"source.monitor-interval": "3 s"})
    assert source.boundedness is Boundedness.CONTINUOUS_UNBOUNDED
    (tmp_path / "b.json").write_text('{"a":1}')
    enumeration = Enumeration(1)
    enumerator = source.create_enumerator(enumeration)
    enumerator.start()
    assert given(enumeration, enumerator) == ["b.json"]
    assert enumeration.later == {0: 3000} and not enumeration.ended
    (tmp_path / "a.json").write_text('{"a":2}')
    (tmp_path / "c.json").write_text('{"a":3}')
    (tmp_path / ".d.json").write_text('{"a":4}')
    enumerator.handle_split_request(0)
    state = pickle.loads(pickle.dumps(enumerator.snapshot_state()))
    assert Path(enumeration.assigned[0].popleft().path).name == "a.json"
    restored = source.restore_enumerator(enumeration, state)
    restored.start()
    (tmp_path / "e.json").write_text('{"a":5}')
    assert given(enumeration, restored) == ["c.json", "e.json"]

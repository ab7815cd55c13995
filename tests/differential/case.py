"""A case: one SQL file of Millstream's dialect whose last statement is the query.

Its head is comments. The first lines say what is tested; then come

- ``-- tables: bids, people``: the shared tables that it reads,
- ``-- duckdb: same`` if DuckDB takes the query as it is, or ``-- duckdb:`` with the query in lines that begin with
  ``--| ``, or ``-- reference: python`` with a function ``rows(tables)`` in a file of the same name beside,
- ``-- settings: key = value, ...``: for SET before the query. Statements before the query may create views and tables;
  ``-- duckdb setup:`` with lines ``--| `` does the same there, and where it is left out the statements themselves do.
- ``-- not restored: why``: there are no runs with checkpoints.
- ``-- query: path``: the query stands in that file, named from the top of the repository.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from millstream.sql.parser.script import parse_script
from millstream.sql.parser.statements import Query

CASES: Final = Path(__file__).with_name("cases")
TOP: Final = Path(__file__).parents[2]

Reference = Callable[[Mapping[str, list[dict[str, Any]]]], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Case:
    """``name`` is ``theme/file``. ``before``: the statements before ``query``."""

    name: str
    path: Path
    tables: tuple[str, ...]
    before: tuple[str, ...]
    query: Query
    duckdb: str
    duckdb_setup: str
    settings: tuple[tuple[str, str], ...] = ()
    not_restored: str = ""
    reference: Reference | None = field(default=None, compare=False)

    @property
    def theme(self) -> str:
        return self.name.partition("/")[0]

    @property
    def identifier(self) -> str:
        """As the name of a directory and of a table."""
        return self.name.replace("/", "_")


@cache
def all_cases() -> dict[str, Case]:
    """Every file below ``cases``, by name."""
    found = [read_case(path) for path in sorted(CASES.glob("*/*.sql"))]
    return {case.name: case for case in found}


def read_case(path: Path) -> Case:
    """Raises ``ValueError`` for a head that says nothing of tables, or of what to compare with."""
    name = f"{path.parent.name}/{path.stem}"
    text = path.read_text()
    head = _head(text)
    if "query" in head:
        text = f"{text}\n{(TOP / head['query']).read_text()}"
    statements = parse_script(text)
    query = statements[-1]
    if not isinstance(query, Query):
        raise ValueError(f"{path} does not end with a query")
    if "tables" not in head:
        raise ValueError(f"{path} does not say -- tables:")
    is_python = head.get("reference") == "python"
    if is_python == ("duckdb" in head):
        raise ValueError(f"{path} needs one of -- duckdb: and -- reference: python")
    before = tuple(statement.text for statement in statements[:-1])
    setup = head.get("duckdb setup", ";\n".join(before)).replace("`", '"')
    same = head.get("duckdb") == "same"
    return Case(
        name,
        path,
        tuple(filter(None, (table.strip() for table in head["tables"].split(",")))),
        before,
        query,
        query.text.replace("`", '"') if same else head.get("duckdb", ""),
        setup,
        _settings(head.get("settings", "")),
        head.get("not restored", ""),
        _reference(path.with_suffix(".py")) if is_python else None,
    )


_KEYS: Final = ("tables", "query", "duckdb", "duckdb setup", "reference", "settings", "not restored")


def _head(text: str) -> dict[str, str]:
    head: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if line.startswith("--|"):
            head[last] = f"{head[last]}\n{line[3:].strip()}".strip()
        elif line.startswith("-- ") and ":" in line and line[3:].partition(":")[0] in _KEYS:
            last, _, value = line[3:].partition(":")
            head[last] = value.strip()
    return head


def _settings(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    return tuple((key.strip(), value.strip()) for key, _, value in pairs)


def _reference(path: Path) -> Reference:
    spec = importlib.util.spec_from_file_location(f"reference_{path.stem}", path)
    assert spec is not None and spec.loader is not None, f"no {path}"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Reference = module.rows
    return found

"""The reference page of functions is what the registry says."""

from pathlib import Path

from millstream.core.table.functions.reference import BEGIN, END, reference_tables

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "sql-functions.md"


def test_the_page_lists_the_registry() -> None:
    text = PAGE.read_text()
    written = text[text.index(BEGIN) : text.index(END) + len(END)]
    assert written == reference_tables(), (
        "docs/reference/sql-functions.md is out of date: replace what stands between its two comments with "
        "millstream.core.table.functions.reference.reference_tables()"
    )

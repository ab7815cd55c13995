"""Results as ``millstream sql`` prints them, read back."""

from collections import Counter


def printed_tables(text: str) -> list[str]:
    """Each table that was printed, without its last rule."""
    lines = text.splitlines()
    ruled = [number for number, line in enumerate(lines) if line.startswith("+-")]
    return ["\n".join(lines[first:last]) for first, last in zip(ruled[::3], ruled[2::3], strict=True)]


def materialized(table: str) -> Counter[str]:
    """The rows that are there after all lines of a printed table or changelog."""
    header, *lines = [line for line in table.splitlines() if line.startswith("|")]
    changes = header.split("|")[1].strip() == "op"
    rows: Counter[str] = Counter()
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if changes:
            rows[" ".join(cells[1:])] += 1 if cells[0] in ("+I", "+U") else -1
        else:
            rows[" ".join(cells)] += 1
    return +rows

"""The tables of the reference page of functions, from the registry."""

from __future__ import annotations

from millstream.core.table.functions import registry
from millstream.core.table.functions.aggregates import aggregate_names

BEGIN = "<!-- functions: generated from the registry -->"
END = "<!-- end of functions -->"


def reference_tables() -> str:
    """Markdown between ``BEGIN`` and ``END``: a table a theme, then the names of the aggregates and other names."""
    lines = [BEGIN, ""]
    for theme, functions in registry.themes():
        lines += [f"### {theme}", "", "| function | value | example |", "|---|---|---|"]
        for function in sorted(functions, key=lambda item: item.name):
            example = " = ".join(function.examples[0]) if function.examples else ""
            shown = f"`{_cell(example)}`" if example else ""
            lines.append(f"| `{_cell(function.name)}` | {_cell(function.summary)} | {shown} |")
        lines.append("")
    lines += ["### Other names", "", "| name | the same as |", "|---|---|"]
    lines += [f"| `{alias}` | `{name}` |" for alias, name in sorted(registry.ALIASES.items())]
    lines += ["", "### Aggregates and functions of OVER", "", ", ".join(f"`{name}`" for name in aggregate_names()), ""]
    return "\n".join([*lines, END])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

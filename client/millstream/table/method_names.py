"""Methods of expressions whose name is not that of their function in SQL, in lower case."""

from __future__ import annotations

from typing import Final

START: Final = "$START"
END: Final = "$END"
ROWTIME: Final = "$ROWTIME"
PROCTIME: Final = "$PROCTIME"
ROWS: Final = "$ROWS"

SQL_NAMES: Final = {
    "at": "ITEM",
    "array_agg": "ARRAY_AGG",
    "ends_with": "ENDSWITH",
    "if_null": "IFNULL",
    "init_cap": "INITCAP",
    "list_agg": "LISTAGG",
    "lower_case": "LOWER",
    "starts_with": "STARTSWITH",
    "upper_case": "UPPER",
    "start": START,
    "end": END,
    "rowtime": ROWTIME,
    "proctime": PROCTIME,
    "rows": ROWS,
    "row": ROWS,
}
"""``$`` names are no functions: group windows and over windows give them their meaning."""

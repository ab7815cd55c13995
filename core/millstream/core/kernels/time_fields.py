"""The fields of a pattern of times, by the numbers that its kernels know: patterns are made without loading numba."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

LITERAL: Final = 0
YEAR: Final = 1
MONTH: Final = 2
DAY: Final = 3
HOUR: Final = 4
MINUTE: Final = 5
SECOND: Final = 6
FRACTION: Final = 7
HOUR_OF_12: Final = 8
DAY_OF_YEAR: Final = 9
YEAR_OF_CENTURY: Final = 10


def widths_of(pattern: npt.NDArray[np.int64]) -> int:
    """Bytes of a text of the pattern."""
    return int(sum(1 if field == LITERAL else int(argument) for field, argument in pattern))

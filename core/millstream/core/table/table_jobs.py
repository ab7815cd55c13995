"""Which jobs are of SQL and tables: their operators need more imports and compiled kernels than others."""

from __future__ import annotations

import json
from collections.abc import Mapping

from millstream.core.config import options


def is_of_tables(configuration: Mapping[str, str]) -> bool:
    """Of a job's settings (values are JSON): only sessions of SQL or tables put a zone's name for the default."""
    zone = configuration.get(options.TABLE_LOCAL_TIME_ZONE.key)
    return zone is not None and json.loads(zone) != options.ZONE_OF_MACHINE

"""The time zone in which a session reads and shows instants."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo

from millstream.core.config import Configuration, options
from millstream.core.errors import ConfigError


def session_zone(configuration: Configuration) -> ZoneInfo:
    """``table.local-time-zone``. Raises ``ConfigError`` for a zone that does not exist."""
    name = configuration[options.TABLE_LOCAL_TIME_ZONE]
    try:
        return local_zone() if name == options.ZONE_OF_MACHINE else ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(f"{options.TABLE_LOCAL_TIME_ZONE.key}: there is no time zone {name!r}.") from error


def local_zone() -> ZoneInfo:
    """The machine's zone by the variable TZ or the link ``/etc/localtime``; UTC if neither names one."""
    names = [os.environ.get("TZ", ""), str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]]
    for name in names:
        if name:
            try:
                return ZoneInfo(name)
            except (KeyError, ValueError, OSError):
                continue
    return ZoneInfo("UTC")

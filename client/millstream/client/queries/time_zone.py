"""The time zone of this machine, which ``table.local-time-zone = default`` means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from millstream.core.errors import ConfigError

DEFAULT: Final = "default"
_LOCALTIME: Final = Path("/etc/localtime")
_DIRECTORY: Final = "zoneinfo/"


def zone_name(setting: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The zone that a setting names, by its IANA name. Raises ``ConfigError`` for one that does not exist."""
    if setting and setting != DEFAULT:
        return _checked(setting, "table.local-time-zone")
    given = environment.get("TZ", "").lstrip(":")
    if given:
        return _checked(given, "the environment variable TZ")
    target = str(_LOCALTIME.resolve())
    return target.partition(_DIRECTORY)[2] or "UTC"


def _checked(name: str, where: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f"{where} is {name!r}, which is no time zone. Write a name such as Europe/Berlin or UTC."
        ) from None
    return name

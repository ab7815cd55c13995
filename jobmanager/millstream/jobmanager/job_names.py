"""Which jobs somebody means who gives an id, a name, or the beginning of an id. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from millstream.core.ids import JobId

PREFIX_MIN: Final = 4


def meant_by(text: str, names: Mapping[JobId, str]) -> list[JobId]:
    """That with this id; else all with this name; else all whose id begins so, if that is long enough to mean one."""
    if JobId(text) in names:
        return [JobId(text)]
    named = [job_id for job_id, name in names.items() if name == text]
    if named or len(text) < PREFIX_MIN:
        return named
    return [job_id for job_id in names if job_id.startswith(text)]

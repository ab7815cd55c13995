"""Running a user's script the way ``python SCRIPT ARGS`` does."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path


def run_script(script: str, arguments: Sequence[str]) -> None:
    """As ``__main__``, with ``sys.argv`` and ``sys.path[0]`` as Python sets them; ``sys.argv[0]`` is absolute."""
    path = Path(script).absolute()
    is_archive = path.is_dir() or path.suffix in (".zip", ".pyz")
    sys.argv = [script, *arguments]
    sys.path[0] = str(path if is_archive else path.resolve().parent)
    runpy.run_path(str(path), run_name="__main__")

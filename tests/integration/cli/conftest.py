"""A home directory of its own for each test, and nothing that outlives it."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("processes", Path(__file__).with_name("processes.py"))
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["processes"] = _module
_spec.loader.exec_module(_module)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Settings, secrets and temporary files of one test live here."""
    yield tmp_path
    _module.kill_leftovers(tmp_path)

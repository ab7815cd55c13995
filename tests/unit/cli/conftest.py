"""Makes ``readings`` importable from the tests beside it."""

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("readings", Path(__file__).with_name("readings.py"))
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
sys.modules["readings"] = _module

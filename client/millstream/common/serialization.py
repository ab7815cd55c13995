"""How records become text in files (``pyflink.common.serialization``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Encoder:
    """Turns a record into the line that stands for it."""

    def __init__(self, encode: Callable[[Any], str], charset_name: str = "UTF-8") -> None:
        self.encode = encode
        self.charset_name = charset_name

    @staticmethod
    def simple_string_encoder(charset_name: str = "UTF-8") -> Encoder:
        """``str(record)``. Files are UTF-8, so other charsets are refused."""
        if charset_name.replace("-", "").replace("_", "").lower() not in ("utf8", "ascii", "usascii"):
            raise ValueError(f"files are written as UTF-8, not {charset_name}")
        return Encoder(str, charset_name)

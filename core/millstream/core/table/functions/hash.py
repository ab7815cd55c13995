"""Hashes of texts and bytes, as hexadecimal digits."""

from __future__ import annotations

import hashlib
from typing import Final

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import WHOLE
from millstream.core.table.functions.declare import row_function
from millstream.core.table.functions.function import ScalarFunction
from millstream.core.table.functions.text_more import TEXT_OR_BYTES

_SHA2: Final = {224: "sha224", 256: "sha256", 384: "sha384", 512: "sha512"}


def _digest(algorithm: str, value: str | bytes) -> str:
    data = value.encode() if isinstance(value, str) else value
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()


def _sha2(value: str | bytes, bits: int) -> str:
    if bits not in _SHA2:
        raise ValueError("SHA2 has 224, 256, 384 or 512 bits")
    return _digest(_SHA2[bits], value)


def _hash(name: str, algorithm: str, *examples: tuple[str, str]) -> ScalarFunction:
    return row_function(
        name,
        [TEXT_OR_BYTES],
        lt.STRING,
        lambda value: _digest(algorithm, value),
        f"The {name} hash, in hexadecimal digits.",
        *examples,
        nullable=None,
    )


FUNCTIONS: Final = (
    _hash("MD5", "md5", ("MD5('abc')", "900150983cd24fb0d6963f7d28e17f72")),
    _hash("SHA1", "sha1", ("SHA1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d")),
    _hash("SHA224", "sha224", ("SHA224('abc')", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7")),
    _hash("SHA256", "sha256", ("SHA256('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
    _hash("SHA384", "sha384"),
    _hash("SHA512", "sha512"),
    row_function(
        "SHA2",
        [TEXT_OR_BYTES, WHOLE],
        lt.STRING,
        _sha2,
        "The SHA-2 hash of 224, 256, 384 or 512 bits.",
        ("SHA2('abc', 224)", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        can_fail=True,
    ),
)

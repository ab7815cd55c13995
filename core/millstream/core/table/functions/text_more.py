"""Functions of texts that go value by value: padding, positions, codes, printf."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import ANY, BINARY, PRINTABLE, TEXT, WHOLE, Kind, takes
from millstream.core.table.functions.columns import nulls, per_row
from millstream.core.table.functions.declare import row_function
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Value
from millstream.core.table.functions.math import random_numbers
from millstream.core.table.functions.printf import printf
from millstream.core.table.logical_types import LogicalType, TypeRoot

_CHARSETS: Final = ("US-ASCII", "ISO-8859-1", "UTF-8", "UTF-16BE", "UTF-16LE", "UTF-16")
TEXT_OR_BYTES: Final = Kind(
    "a STRING or BYTES",
    lambda kind: (
        lt.STRING if kind.root is TypeRoot.NULL else kind if kind.root in (*lt.TEXT, *lt.BYTES_ROOTS) else None
    ),
)


def _init_cap(text: str) -> str:
    return re.sub(r"[^\W_]+", lambda match: match[0][0].upper() + match[0][1:].lower(), text)


def _pad(text: str, length: int, pad: str, left: bool) -> str | None:
    if length < 0 or not pad:
        return None
    missing = max(0, length - len(text))
    padding = (pad * (missing // len(pad) + 1))[:missing]
    return padding + text[:length] if left else text[:length] + padding


def _overlay(text: str, new: str, start: int, length: int | None = None) -> str:
    """A start outside the text leaves it as it is."""
    count = len(new) if length is None else length
    if start < 1 or start > len(text):
        return text
    if count < 0:
        return text[: start - 1] + new + text[start - 1 :]
    return text[: start - 1] + new + text[start - 1 + count :]


def _position(needle: str, text: str) -> int:
    return text.find(needle) + 1


def _locate(needle: str, text: str, start: int = 1) -> int:
    return text.find(needle, max(0, start - 1)) + 1 if start >= 1 else 0


def _instr(text: str, needle: str, start: int = 1, occurrence: int = 1) -> int | None:
    if start == 0 or occurrence < 1:
        return None
    if start < 0:
        place = len(text) + start + len(needle)
        for _ in range(occurrence):
            found = text.rfind(needle, 0, place)
            if found < 0:
                return 0
            place = found + len(needle) - 1
        return found + 1
    place = start - 1
    for _ in range(occurrence):
        found = text.find(needle, place)
        if found < 0:
            return 0
        place = found + 1
    return found + 1


@functools.lru_cache(maxsize=256)
def _translation(source: str, target: str) -> dict[int, str | None]:
    table: dict[int, str | None] = {}
    for place, letter in enumerate(source):
        table.setdefault(ord(letter), target[place] if place < len(target) else None)
    return table


def _ascii(text: str) -> int:
    return text.encode()[0] if text else 0


def _chr(code: int) -> str:
    return "" if code < 0 else chr(code % 256)


def _from_base64(text: str) -> str | None:
    try:
        return base64.b64decode(text, validate=False).decode(errors="replace")
    except (binascii.Error, ValueError):
        return None


def _to_base64(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def _charset(name: str) -> str:
    if name.upper() not in _CHARSETS:
        raise ValueError(f"no charset {name}; use one of {', '.join(_CHARSETS)}")
    return name


def _elt(index: int, *texts: Any) -> Any:
    return texts[index - 1] if index is not None and 1 <= index <= len(texts) else None


def _str_to_map(text: str, list_separator: str = ",", key_separator: str = "=") -> list[tuple[str, str | None]]:
    entries: dict[str, str | None] = {}
    for entry in re.split(list_separator, text):
        key, *value = re.split(key_separator, entry, maxsplit=1)
        entries[key] = value[0] if value else None
    return list(entries.items())


def _split(text: str, separator: str) -> list[str]:
    return list(text) if not separator else text.split(separator)


def _uuid(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    """Version 4 of RFC 4122, from the operator's source of random numbers."""
    texts = []
    halves = zip(*(random_numbers(context) for _ in range(4)), strict=True)
    for parts in halves:
        digits = "".join(f"{int(part * 2**32):08x}" for part in parts)
        variant = "89ab"[int(digits[16], 16) % 4]
        texts.append(f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}")
    return pa.array(texts, pa.string())


def _side(left: bool) -> Callable[[Sequence[Value], LogicalType, EvaluationContext], Value]:
    def evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
        text, count = arguments
        if isinstance(count, pa.Scalar) and count.is_valid and not isinstance(text, pa.Scalar):
            size = count.as_py()
            if size <= 0:
                return pc.if_else(pc.is_valid(text), "", nulls(kind))
            size = min(size, lt.UNBOUNDED_LENGTH)
            return pc.utf8_slice_codeunits(text, 0, size) if left else pc.utf8_slice_codeunits(text, -size)
        return per_row(
            lambda value, size: "" if size <= 0 else value[:size] if left else value[-size:], arguments, kind, context
        )

    return evaluate


FUNCTIONS: Final = (
    row_function(
        "INITCAP", [TEXT], lt.STRING, _init_cap, "Each word with a capital.", ("INITCAP('ab CD e1f')", "Ab Cd E1f")
    ),
    row_function(
        "LPAD",
        [TEXT, WHOLE, TEXT],
        lt.STRING,
        lambda text, length, pad: _pad(text, length, pad, True),
        "Padded at the left, or cut, to a length.",
        ("LPAD('hi', 4, '??')", "??hi"),
        ("LPAD('hi', 1, '??')", "h"),
    ),
    row_function(
        "RPAD",
        [TEXT, WHOLE, TEXT],
        lt.STRING,
        lambda text, length, pad: _pad(text, length, pad, False),
        "Padded at the right, or cut, to a length.",
        ("RPAD('hi', 4, '?')", "hi??"),
    ),
    ScalarFunction(
        "LEFT",
        takes("LEFT", TEXT, WHOLE, result=lt.STRING),
        _side(True),
        summary="The first characters.",
        examples=(("LEFT('hello', 2)", "he"), ("LEFT('hello', -1)", "")),
    ),
    ScalarFunction(
        "RIGHT",
        takes("RIGHT", TEXT, WHOLE, result=lt.STRING),
        _side(False),
        summary="The last characters.",
        examples=(("RIGHT('hello', 2)", "lo"),),
    ),
    row_function(
        "REPEAT",
        [TEXT, WHOLE],
        lt.STRING,
        lambda text, count: text * max(0, count),
        "The text so many times.",
        ("REPEAT('ab', 3)", "ababab"),
    ),
    row_function(
        "POSITION",
        [TEXT, TEXT],
        lt.INT,
        _position,
        "Where the first is in the second, 0 for nowhere.",
        ("POSITION('l' IN 'hello')", "3"),
    ),
    row_function(
        "LOCATE",
        [TEXT, TEXT, WHOLE],
        lt.INT,
        _locate,
        "Where the first is in the second, from a position on.",
        ("LOCATE('l', 'hello', 4)", "4"),
        optional=1,
    ),
    row_function(
        "INSTR",
        [TEXT, TEXT, WHOLE, WHOLE],
        lt.INT,
        _instr,
        "Where the second is in the first; from a position, the n-th time.",
        ("INSTR('hello', 'l')", "3"),
        ("INSTR('hello', 'l', 1, 2)", "4"),
        optional=2,
    ),
    row_function(
        "OVERLAY",
        [TEXT, TEXT, WHOLE, WHOLE],
        lt.STRING,
        _overlay,
        "The text with a part replaced, from a position on.",
        ("OVERLAY('xxxxxtest', 'xxxx', 6)", "xxxxxxxxx"),
        ("OVERLAY('abcdef', 'X', 2, 3)", "aXef"),
        optional=1,
    ),
    row_function(
        "TRANSLATE",
        [TEXT, TEXT, TEXT],
        lt.STRING,
        lambda text, source, target: text.translate(_translation(source, target)),
        "Each character of the second replaced by the one of the third; removed where there is none.",
        ("TRANSLATE('hello', 'el', 'ip')", "hippo"),
        ("TRANSLATE('abc', 'ab', 'x')", "xc"),
    ),
    row_function("ASCII", [TEXT], lt.INT, _ascii, "The code of the first character.", ("ASCII('abc')", "97")),
    row_function("CHR", [WHOLE], lt.STRING, _chr, "The character of a code, modulo 256.", ("CHR(97)", "a")),
    row_function(
        "FROM_BASE64",
        [TEXT],
        lt.STRING,
        _from_base64,
        "The text that base64 encodes.",
        ("FROM_BASE64('aGVsbG8=')", "hello"),
    ),
    row_function(
        "TO_BASE64", [TEXT_OR_BYTES], lt.STRING, _to_base64, "The base64 of a text.", ("TO_BASE64('hello')", "aGVsbG8=")
    ),
    row_function(
        "ENCODE",
        [TEXT, TEXT],
        lt.BYTES,
        lambda text, charset: text.encode(_charset(charset), "replace"),
        "The bytes of a text in a charset.",
        ("ENCODE('hé', 'UTF-8')", "x'68c3a9'"),
        can_fail=True,
    ),
    row_function(
        "DECODE",
        [BINARY, TEXT],
        lt.STRING,
        lambda value, charset: value.decode(_charset(charset), "replace"),
        "The text of bytes in a charset.",
        ("DECODE(ENCODE('hé', 'UTF-16BE'), 'UTF-16BE')", "hé"),
        can_fail=True,
    ),
    row_function(
        "ELT",
        [WHOLE, PRINTABLE],
        lt.STRING,
        _elt,
        "The text at an index, from 1.",
        ("ELT(2, 'a', 'b')", "b"),
        ("ELT(3, 'a', 'b')", "NULL"),
        rest=PRINTABLE,
        strict=False,
    ),
    row_function(
        "SPLIT",
        [TEXT, TEXT],
        lt.array(lt.STRING),
        _split,
        "The parts of a text between separators.",
        ("SPLIT('a,b,,c', ',')", "[a, b, , c]"),
    ),
    row_function(
        "STR_TO_MAP",
        [TEXT, TEXT, TEXT],
        lt.map_of(lt.STRING, lt.STRING),
        _str_to_map,
        "A map of the pairs of a text; separators are regular expressions, by default , and =.",
        ("STR_TO_MAP('k1=v1,k2=v2')", "{k1=v1, k2=v2}"),
        ("STR_TO_MAP('a:1;b:2', ';', ':')", "{a=1, b=2}"),
        optional=2,
    ),
    row_function(
        "PRINTF",
        [TEXT],
        lt.STRING,
        printf,
        "A format of Java with its arguments.",
        ("PRINTF('%s is %d', 'x', 3)", "x is 3"),
        rest=ANY,
        strict=False,
    ),
    ScalarFunction(
        "UUID",
        takes("UUID", result=lt.STRING, nullable=False),
        _uuid,
        deterministic=False,
        summary="A random UUID of version 4.",
    ),
)

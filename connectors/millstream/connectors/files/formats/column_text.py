"""Columns as the text that JSON and CSV files hold, by Arrow's casts; nested values of lists and maps by Python."""

from __future__ import annotations

import base64
import datetime
import decimal
import math
import re
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_TRAILING_ZEROS = r"(\.\d*?)0+(Z?)$"


@dataclass(frozen=True)
class TextColumn:
    """``offsets`` (one more than rows) cut ``data`` into the texts; ``states`` is 0 for NULL; ``is_string``: whether
    JSON puts it between quotes."""

    offsets: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]
    states: npt.NDArray[np.uint8]
    is_string: bool


def column_text(column: pa.Array, separator: str, as_json: bool) -> TextColumn:
    """``separator`` stands between the date and the time of timestamps. Lists and maps become JSON if ``as_json``;
    CSV has text for lists of its own and comes here with none."""
    kind = column.type
    if pa.types.is_string(kind):
        return _of_strings(column, True)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return _of_strings(column.cast(pa.string()), False)
    if pa.types.is_floating(kind):
        if pc.all(pc.is_finite(column), min_count=0).as_py() is not False:
            return _of_strings(column.cast(pa.string()), False)
        quote = '"' if as_json else ""
        return _of_strings(pa.array([_float_text(value, quote) for value in column.to_pylist()], pa.string()), False)
    if pa.types.is_date(kind):
        return _of_strings(column.cast(pa.string()), True)
    if pa.types.is_time(kind) or pa.types.is_timestamp(kind):
        return _of_strings(_times(column, separator), True)
    if pa.types.is_binary(kind):
        texts = [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
        return _of_strings(pa.array(texts, pa.string()), True)
    values = [None if value is None else _json(plain(value, kind, separator)) for value in column.to_pylist()]
    return _of_strings(pa.array(values, pa.string()), False)


def states_of(column: pa.Array) -> npt.NDArray[np.uint8]:
    """1 for each value, 0 for each NULL."""
    if column.null_count == 0:
        return np.ones(len(column), np.uint8)
    valid: npt.NDArray[np.uint8] = column.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8)
    return valid


def plain(value: Any, kind: pa.DataType, separator: str) -> Any:
    """A Python value of ``pa.Array.to_pylist`` as JSON has it."""
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [plain(item, kind.value_type, separator) for item in value]
    if pa.types.is_map(kind):
        return {str(key): plain(item, kind.item_type, separator) for key, item in value}
    if pa.types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type, separator) for field in kind}
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat(separator) + ("Z" if value.tzinfo else "")
        return re.sub(_TRAILING_ZEROS, r"\1\2", text).replace(".Z", "Z")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal):
        return msgspec.Raw(str(value).encode())
    return value


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _times(column: pa.Array, separator: str) -> pa.Array:
    """Without the zeros at the end of the fraction of a second."""
    texts = column.cast(pa.string())
    if pc.any(pc.ends_with(texts, "0")).as_py() or pc.any(pc.ends_with(texts, "0Z")).as_py():
        texts = pc.replace_substring_regex(texts, _TRAILING_ZEROS, r"\1\2")
        texts = pc.replace_substring_regex(texts, r"\.(Z?)$", r"\1")
    if separator != " " and pa.types.is_timestamp(column.type):
        texts = pc.replace_substring(texts, " ", separator)
    return texts


def _float_text(value: float | None, quote: str) -> str | None:
    if value is None or math.isfinite(value):
        return None if value is None else repr(value)
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return f"{quote}{name}{quote}"


def _of_strings(column: pa.Array, is_string: bool) -> TextColumn:
    _, places, data = column.buffers()
    offsets = np.frombuffer(places, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    whole = np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
    used = whole[offsets[0] : offsets[-1]]
    return TextColumn(offsets - offsets[0], used, states_of(column), is_string)

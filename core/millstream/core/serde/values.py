"""Single values as msgpack with extensions, so that what comes back has the type that was sent.

msgpack packs with strict types: only exact ``int``, ``float``, ``str``, ``bytes``, ``bool``, ``None``, ``list`` and
``dict`` are native. The rest of the plain world has an extension; what has none is pickled, or refused.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pickle
import uuid
from collections.abc import Callable
from typing import Any, Final

import cloudpickle
import msgpack

from millstream.core.api.row import Row, RowKind
from millstream.core.errors import IncompatibleStateError, MalformedRecordError, RecordTypeError
from millstream.core.serde.atoms import encode_atoms, tuple_content
from millstream.core.serde.classes import class_from_reference, class_reference
from millstream.core.serde.evolution import maker

_TUPLE: Final = 1
_BIG_INT: Final = 2
_DATETIME: Final = 3
_DATE: Final = 4
_TIME: Final = 5
_TIMEDELTA: Final = 6
_DECIMAL: Final = 7
_UUID: Final = 8
_SET: Final = 9
_FROZENSET: Final = 10
_RECORD: Final = 11
_ENUM: Final = 12
_ROW: Final = 13
_PICKLE: Final = 127

_DEPTH_MAX: Final = 256


class NoTypedEncoding(RecordTypeError):
    """A value would have to be pickled, and ``pipeline.generic-types`` is false."""


def encode_value(value: Any, *, generic_types: bool = True) -> bytes:
    """The bytes of one value."""
    data = encode_atoms(value, _TUPLE)
    return pack(value, generic_types) if data is None else data


def decode_value(data: bytes | memoryview) -> Any:
    """The inverse of ``encode_value``. Raises ``MalformedRecordError``."""
    content = tuple_content(data, _TUPLE)
    found = unpack(data if content is None else content)
    if content is None:
        return found
    if type(found) is not list:
        raise MalformedRecordError(f"an encoded tuple holds {type(found).__name__}")
    return tuple(found)


def pack(value: Any, generic_types: bool) -> bytes:
    """msgpack with the extensions of this module."""
    default = _pack_generic if generic_types else _pack_typed_only
    try:
        packed: bytes = msgpack.packb(
            value, strict_types=True, use_bin_type=True, default=default, unicode_errors="surrogatepass"
        )
    except (ValueError, OverflowError) as error:
        if generic_types:
            return bytes(msgpack.packb(_pickled(value)))
        raise NoTypedEncoding(f"{value!r:.200} cannot be encoded: {error}") from error
    return packed


def unpack(data: bytes | memoryview) -> Any:
    """The inverse of ``pack``."""
    try:
        return msgpack.unpackb(
            data, raw=False, strict_map_key=False, ext_hook=_unpack_extension, unicode_errors="surrogatepass"
        )
    except (MalformedRecordError, IncompatibleStateError):
        raise
    except Exception as error:  # msgpack and the extensions raise many kinds for bad bytes
        raise MalformedRecordError(f"an encoded value is damaged: {type(error).__name__}: {error}") from error


def _pack_generic(value: Any) -> msgpack.ExtType:
    extension = _extension(value, True)
    return _pickled(value) if extension is None else extension


def _pack_typed_only(value: Any) -> msgpack.ExtType:
    extension = _extension(value, False)
    if extension is None:
        raise NoTypedEncoding(
            f"a value of type {type(value).__module__}.{type(value).__qualname__} has no typed encoding and "
            f"pipeline.generic-types is false: {value!r:.200}. Use a dataclass, a NamedTuple or plain values, or allow "
            f"generic types."
        )
    return extension


def _pickled(value: Any) -> msgpack.ExtType:
    try:
        data = pickle.dumps(value, protocol=5)
    except Exception:  # classes of the script itself are not importable here: they travel with the value
        try:
            data = cloudpickle.dumps(value, protocol=5)
        except Exception as error:
            raise RecordTypeError(
                f"a record of type {type(value).__qualname__} cannot travel between processes: {error}. "
                f"Map it to plain values first."
            ) from error
    return msgpack.ExtType(_PICKLE, data)


def _extension(value: Any, generic_types: bool) -> msgpack.ExtType | None:
    """The typed extension of ``value``, or None when there is none for its exact type."""
    kind = type(value)
    if kind is tuple:
        return msgpack.ExtType(_TUPLE, pack(list(value), generic_types))
    encode = _SIMPLE.get(kind)
    if encode is not None:
        code, to_text = encode
        return msgpack.ExtType(code, to_text(value).encode())
    if kind is set or kind is frozenset:
        return msgpack.ExtType(_SET if kind is set else _FROZENSET, pack(list(value), generic_types))
    if kind is Row:
        parts = [value.get_field_names(), list(value), int(value.get_row_kind())]
        return msgpack.ExtType(_ROW, pack(parts, generic_types))
    if isinstance(value, enum.Enum):
        return msgpack.ExtType(_ENUM, pack([class_reference(kind), value.name], generic_types))
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return msgpack.ExtType(_RECORD, pack([class_reference(kind), list(value)], generic_types))
    if is_plain_dataclass(kind):
        fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
        return msgpack.ExtType(_RECORD, pack([class_reference(kind), fields], generic_types))
    return None


def is_plain_dataclass(kind: type) -> bool:
    """A dataclass whose instances are its fields and nothing else, and whose constructor takes them all."""
    if not dataclasses.is_dataclass(kind):
        return False
    plain: bool | None = _PLAIN.get(kind)
    if plain is None:
        plain = (
            all(field.init and not field.kw_only for field in dataclasses.fields(kind))
            and not hasattr(kind, "__post_init__")
            and "__getstate__" not in vars(kind)
            and "__reduce__" not in vars(kind)
        )
        if len(_PLAIN) > 4096:
            _PLAIN.clear()
        _PLAIN[kind] = plain
    return plain


_PLAIN: dict[type, bool] = {}

_SIMPLE: Final[dict[type, tuple[int, Callable[[Any], str]]]] = {
    int: (_BIG_INT, str),
    datetime.datetime: (_DATETIME, lambda value: f"{value.isoformat()}|{value.fold}|{_zone(value)}"),
    datetime.date: (_DATE, lambda value: value.isoformat()),
    datetime.time: (_TIME, lambda value: value.isoformat()),
    datetime.timedelta: (_TIMEDELTA, lambda value: f"{value.days} {value.seconds} {value.microseconds}"),
    decimal.Decimal: (_DECIMAL, str),
    uuid.UUID: (_UUID, lambda value: value.hex),
}


def _zone(value: datetime.datetime) -> str:
    return str(getattr(value.tzinfo, "key", ""))


def _parse_datetime(text: str) -> datetime.datetime:
    moment, fold, zone = text.split("|")
    value = datetime.datetime.fromisoformat(moment)
    if zone:
        import zoneinfo

        value = value.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return value.replace(fold=int(fold))


def _unpack_extension(code: int, data: bytes) -> Any:
    if code == _TUPLE:
        return tuple(unpack(data))
    if code == _PICKLE:
        return pickle.loads(data)
    parse = _PARSE.get(code)
    if parse is not None:
        return parse(data.decode())
    if code in (_SET, _FROZENSET):
        return (set if code == _SET else frozenset)(unpack(data))
    if code == _ROW:
        names, values, kind = unpack(data)
        return make_row(names, values, kind)
    if code in (_RECORD, _ENUM):
        reference, content = unpack(data)
        target = class_from_reference(reference)
        return target[content] if code == _ENUM else maker(target)(*content)  # type: ignore[index]
    raise MalformedRecordError(f"an encoded value has the unknown extension {code}")


def make_row(names: list[str] | None, values: Any, kind: int) -> Row:
    """A ``Row`` of its parts."""
    row = Row(*values)
    if names:
        row.set_field_names(names)
    row.set_row_kind(RowKind(kind))
    return row


_PARSE: Final[dict[int, Callable[[str], Any]]] = {
    _BIG_INT: int,
    _DATETIME: _parse_datetime,
    _DATE: datetime.date.fromisoformat,
    _TIME: datetime.time.fromisoformat,
    _TIMEDELTA: lambda text: datetime.timedelta(*map(int, text.split())),
    _DECIMAL: decimal.Decimal,
    _UUID: uuid.UUID,
}

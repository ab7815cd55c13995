"""``DataTypes`` (``pyflink.table.types``): the types of columns."""

from __future__ import annotations

from collections.abc import Sequence

from millstream.core.table import logical_types as lt
from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.datastream.call_site import refuse

DataType = LogicalType
"""A type: what methods of ``DataTypes`` return. ``str`` gives it as SQL writes it."""

Field = tuple[str, LogicalType]


class DataTypes:
    """Methods named as the types are in SQL; ``nullable=False`` makes them NOT NULL."""

    @staticmethod
    def NULL() -> LogicalType:
        return lt.NULL

    @staticmethod
    def BOOLEAN(nullable: bool = True) -> LogicalType:
        return lt.BOOLEAN.with_nullable(nullable)

    @staticmethod
    def TINYINT(nullable: bool = True) -> LogicalType:
        return lt.TINYINT.with_nullable(nullable)

    @staticmethod
    def SMALLINT(nullable: bool = True) -> LogicalType:
        return lt.SMALLINT.with_nullable(nullable)

    @staticmethod
    def INT(nullable: bool = True) -> LogicalType:
        return lt.INT.with_nullable(nullable)

    @staticmethod
    def BIGINT(nullable: bool = True) -> LogicalType:
        return lt.BIGINT.with_nullable(nullable)

    @staticmethod
    def FLOAT(nullable: bool = True) -> LogicalType:
        return lt.FLOAT.with_nullable(nullable)

    @staticmethod
    def DOUBLE(nullable: bool = True) -> LogicalType:
        return lt.DOUBLE.with_nullable(nullable)

    @staticmethod
    def DECIMAL(precision: int, scale: int, nullable: bool = True) -> LogicalType:
        """``precision`` digits, 1 to 38, ``scale`` of them behind the point."""
        if not 1 <= precision <= lt.MAX_DECIMAL_PRECISION or not 0 <= scale <= precision:
            raise refuse(f"DECIMAL takes 1 to 38 digits and a scale up to that, not ({precision}, {scale}).")
        return lt.decimal(precision, scale).with_nullable(nullable)

    @staticmethod
    def CHAR(length: int, nullable: bool = True) -> LogicalType:
        return lt.char(_length(length, "CHAR")).with_nullable(nullable)

    @staticmethod
    def VARCHAR(length: int, nullable: bool = True) -> LogicalType:
        return lt.varchar(_length(length, "VARCHAR")).with_nullable(nullable)

    @staticmethod
    def STRING(nullable: bool = True) -> LogicalType:
        return lt.STRING.with_nullable(nullable)

    @staticmethod
    def BINARY(length: int, nullable: bool = True) -> LogicalType:
        return LogicalType(TypeRoot.BINARY, nullable, _length(length, "BINARY"))

    @staticmethod
    def VARBINARY(length: int, nullable: bool = True) -> LogicalType:
        return LogicalType(TypeRoot.VARBINARY, nullable, _length(length, "VARBINARY"))

    @staticmethod
    def BYTES(nullable: bool = True) -> LogicalType:
        return lt.BYTES.with_nullable(nullable)

    @staticmethod
    def DATE(nullable: bool = True) -> LogicalType:
        return lt.DATE.with_nullable(nullable)

    @staticmethod
    def TIME(precision: int = 0, nullable: bool = True) -> LogicalType:
        return LogicalType(TypeRoot.TIME, nullable, _fraction(precision, "TIME"))

    @staticmethod
    def TIMESTAMP(precision: int = 6, nullable: bool = True) -> LogicalType:
        """Without a zone; ``precision``: digits of the fraction of a second."""
        return lt.timestamp(_fraction(precision, "TIMESTAMP")).with_nullable(nullable)

    @staticmethod
    def TIMESTAMP_LTZ(precision: int = 6, nullable: bool = True) -> LogicalType:
        """An instant, shown in the zone of the session."""
        return lt.timestamp_ltz(_fraction(precision, "TIMESTAMP_LTZ")).with_nullable(nullable)

    TIMESTAMP_WITH_LOCAL_TIME_ZONE = TIMESTAMP_LTZ

    @staticmethod
    def INTERVAL_YEAR_MONTH(nullable: bool = True) -> LogicalType:
        return lt.INTERVAL_YEAR_MONTH.with_nullable(nullable)

    @staticmethod
    def INTERVAL_DAY_TIME(nullable: bool = True) -> LogicalType:
        return lt.INTERVAL_DAY_TIME.with_nullable(nullable)

    @staticmethod
    def ARRAY(element_type: LogicalType, nullable: bool = True) -> LogicalType:
        return lt.array(_type(element_type, "ARRAY")).with_nullable(nullable)

    LIST_VIEW = ARRAY

    @staticmethod
    def MAP(key_type: LogicalType, value_type: LogicalType, nullable: bool = True) -> LogicalType:
        return lt.map_of(_type(key_type, "MAP"), _type(value_type, "MAP")).with_nullable(nullable)

    MAP_VIEW = MAP

    @staticmethod
    def MULTISET(element_type: LogicalType, nullable: bool = True) -> LogicalType:
        return lt.multiset(_type(element_type, "MULTISET")).with_nullable(nullable)

    @staticmethod
    def ROW(row_fields: Sequence[Field | LogicalType] = (), nullable: bool = True) -> LogicalType:
        """Of ``DataTypes.FIELD(name, type)``, or of types alone, whose fields are then f0, f1, ..."""
        fields = [
            (f"f{index}", given) if isinstance(given, LogicalType) else (given[0], _type(given[1], "ROW"))
            for index, given in enumerate(row_fields)
        ]
        return lt.row(*fields).with_nullable(nullable)

    @staticmethod
    def FIELD(name: str, data_type: LogicalType, description: str | None = None) -> Field:
        """A field of a ROW. ``description`` is for readers of the program."""
        del description
        return name, _type(data_type, "FIELD")


def _type(given: LogicalType, where: str) -> LogicalType:
    if not isinstance(given, LogicalType):
        raise refuse(f"{where} takes types such as DataTypes.INT(), not {given!r:.60}.")
    return given


def _length(length: int, kind: str) -> int:
    if not isinstance(length, int) or not 1 <= length <= lt.UNBOUNDED_LENGTH:
        raise refuse(f"{kind} takes a length of at least 1, not {length!r}.")
    return length


def _fraction(precision: int, kind: str) -> int:
    if not isinstance(precision, int) or not 0 <= precision <= 9:
        raise refuse(f"{kind} takes 0 to 9 digits of the fraction of a second, not {precision!r}.")
    return precision

"""The units behind a number: ``lit(10).minutes`` is an interval, ``lit(3).rows`` a count of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millstream.table.expression import Expression


class IntervalMethods:
    """Mixed into ``Expression``. All raise ``JobGraphError`` for anything but a whole number."""

    def _interval(self, unit: str) -> Expression:
        raise AttributeError(unit)

    @property
    def milli(self) -> Expression:
        return self._interval("MILLISECOND")

    @property
    def millis(self) -> Expression:
        return self._interval("MILLISECOND")

    @property
    def second(self) -> Expression:
        return self._interval("SECOND")

    @property
    def seconds(self) -> Expression:
        return self._interval("SECOND")

    @property
    def minute(self) -> Expression:
        return self._interval("MINUTE")

    @property
    def minutes(self) -> Expression:
        return self._interval("MINUTE")

    @property
    def hour(self) -> Expression:
        return self._interval("HOUR")

    @property
    def hours(self) -> Expression:
        return self._interval("HOUR")

    @property
    def day(self) -> Expression:
        return self._interval("DAY")

    @property
    def days(self) -> Expression:
        return self._interval("DAY")

    @property
    def week(self) -> Expression:
        return self._interval("WEEK")

    @property
    def weeks(self) -> Expression:
        return self._interval("WEEK")

    @property
    def month(self) -> Expression:
        return self._interval("MONTH")

    @property
    def months(self) -> Expression:
        return self._interval("MONTH")

    @property
    def quarter(self) -> Expression:
        return self._interval("QUARTER")

    @property
    def quarters(self) -> Expression:
        return self._interval("QUARTER")

    @property
    def year(self) -> Expression:
        return self._interval("YEAR")

    @property
    def years(self) -> Expression:
        return self._interval("YEAR")

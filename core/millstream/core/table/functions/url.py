"""URLs and addresses of the Internet protocol."""

from __future__ import annotations

import re
import urllib.parse
from typing import Final

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import TEXT, WHOLE
from millstream.core.table.functions.declare import row_function


def _decode(text: str) -> str | None:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        return None
    return urllib.parse.unquote_plus(text, errors="replace")


def _encode(text: str) -> str:
    """As Java's ``URLEncoder``: letters, digits and ``.-*_`` stay, a blank becomes a plus."""
    return urllib.parse.quote_plus(text, safe="*").replace("~", "%7E")


def parse_url(url: str, part: str, key: str | None = None) -> str | None:
    """A part of a URL, or the value of ``key`` in its query."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return None
    if not parts.scheme:
        return None
    if part == "QUERY" and key is not None:
        match = re.search(rf"(?:^|&){re.escape(key)}=([^&]*)", parts.query)
        return match[1] if match else None
    host = parts.netloc.rpartition("@")[2].partition(":")[0] or None
    query = f"?{parts.query}" if parts.query else ""
    return {
        "HOST": host,
        "PATH": parts.path,
        "QUERY": parts.query or None,
        "REF": parts.fragment or None,
        "PROTOCOL": parts.scheme,
        "AUTHORITY": parts.netloc or None,
        "FILE": parts.path + query,
        "USERINFO": parts.netloc.rpartition("@")[0] or None,
    }.get(part)


def _aton(text: str) -> int | None:
    """Fewer than four numbers are allowed, as in MySQL: the last one fills the rest."""
    numbers = text.split(".")
    if not 1 <= len(numbers) <= 4 or not all(re.fullmatch(r"\d+", number, re.ASCII) for number in numbers):
        return None
    values = [int(number) for number in numbers]
    if any(value > 255 for value in values[:-1]) or values[-1] >= 256 ** (5 - len(values)):
        return None
    total = values[-1]
    for place, value in enumerate(values[:-1]):
        total += value << (8 * (3 - place))
    return total


def _ntoa(number: int) -> str | None:
    if not 0 <= number < 2**32:
        return None
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


_URL: Final = "'http://u@facebook.com/path/p1.php?query=1&k=v#ref'"

FUNCTIONS: Final = (
    row_function(
        "URL_DECODE", [TEXT], lt.STRING, _decode, "A text without %xx and +.", ("URL_DECODE('a%20b+c')", "a b c")
    ),
    row_function(
        "URL_ENCODE", [TEXT], lt.STRING, _encode, "A text as part of a URL.", ("URL_ENCODE('a b&c')", "a+b%26c")
    ),
    row_function(
        "PARSE_URL",
        [TEXT, TEXT, TEXT],
        lt.STRING,
        parse_url,
        "HOST, PATH, QUERY, REF, PROTOCOL, AUTHORITY, FILE or USERINFO of a URL; with a key its value in the query.",
        (f"PARSE_URL({_URL}, 'HOST')", "facebook.com"),
        (f"PARSE_URL({_URL}, 'QUERY', 'k')", "v"),
        (f"PARSE_URL({_URL}, 'REF')", "ref"),
        optional=1,
    ),
    row_function(
        "INET_ATON",
        [TEXT],
        lt.BIGINT,
        _aton,
        "The number of an IPv4 address.",
        ("INET_ATON('127.0.0.1')", "2130706433"),
    ),
    row_function(
        "INET_NTOA", [WHOLE], lt.STRING, _ntoa, "The IPv4 address of a number.", ("INET_NTOA(2130706433)", "127.0.0.1")
    ),
)

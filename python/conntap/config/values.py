"""What may stand behind a key: each function takes what TOML gave, and returns what it means or says what is right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar, cast

from conntap.errors import UsageError
from conntap.filter import as_filter
from conntap.units import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conntap.config.lines import Path

__all__ = [
    "NO_PLACE",
    "WrongValueError",
    "absolute_path",
    "close_to",
    "duration",
    "filter_text",
    "flag",
    "input_path",
    "list_of",
    "of_type",
    "one_of",
    "options",
    "size",
    "split_target",
    "table",
    "text",
]

T = TypeVar("T")

TARGET: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):([^?]*)(?:\?(.*))?", re.DOTALL)
#: Kinds of targets that need no place: the local logging service, and nowhere.
ALONE: Final = ("null", "syslog", "journald")
#: Kinds of targets that may lead nowhere (`null:`), or to the machine's own (`syslog://`).
NO_PLACE: Final = ("null", "syslog")
#: What TOML's types are called to people; bool before int, which it is one of.
TYPES: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}


class WrongValueError(UsageError):
    """A value that cannot stand there; `path` leads from the key to the part at fault."""

    def __init__(self, message: str, *, path: Path = ()) -> None:
        super().__init__(message)
        self.path = path


def close_to(word: str, words: Iterable[str]) -> str:
    """`, did you mean 'filter'?`, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(words), n=1)
    return f", did you mean '{close[0]}'?" if close else ""


def of_type(value: object, kind: type[T], right: str) -> T:
    """Return *value* if it is of that TOML type; *right* is what to say."""
    if type(value) is kind:
        return cast("T", value)
    raise WrongValueError(f"is {TYPES.get(type(value), 'a date or time')}, must be {right}")


def table(value: object, right: str) -> dict[str, object]:
    """A table; *right* is what to say."""
    if type(value) is dict:
        return cast("dict[str, object]", value)
    raise WrongValueError(f"is {TYPES.get(type(value), 'a date or time')}, must be {right}")


def elements(value: object, right: str) -> list[object]:
    """A list; *right* is what to say."""
    if type(value) is list:
        return cast("list[object]", value)
    raise WrongValueError(f"is {TYPES.get(type(value), 'a date or time')}, must be {right}")


def text(value: object) -> str:
    """Text that is not empty."""
    found = of_type(value, str, 'text in quotes: "…"')
    if not found.strip():
        raise WrongValueError("is empty: write something, or leave the line out")
    return found


def flag(value: object) -> bool:
    """A switch."""
    return of_type(value, bool, "true or false, without quotes")


def one_of(*allowed: str) -> Callable[[object], str]:
    """One of these words."""

    def read(value: object) -> str:
        found = of_type(value, str, " or ".join(f'"{word}"' for word in allowed))
        if found not in allowed:
            advice = close_to(found, allowed) or f": say {' or '.join(allowed)}"
            raise WrongValueError(f"there is no '{found}'{advice}")
        return found

    return read


def duration(shortest: float, longest: float, *, off: bool = False) -> Callable[[object], float | None]:
    """Seconds, as a number or as text with a unit; *off*: also the word, for None."""
    from conntap.units import duration_text

    right = f"a duration from {duration_text(shortest)} to {duration_text(longest)}"

    def read(value: object) -> float | None:
        if off and value == "off":
            return None
        if type(value) in (int, float):
            seconds = float(cast("float", value))
        else:
            seconds = parse_duration(of_type(value, str, f'{right}, as text: "5m", "30d"'))
        if not shortest <= seconds <= longest:
            raise WrongValueError(f"must be {right}" + (", or off" if off else ""))
        return seconds

    return read


def size(smallest: int) -> Callable[[object], int]:
    """Bytes, as a number or as text with a unit."""
    from conntap.units import size_text

    def read(value: object) -> int:
        count = value if type(value) is int else parse_size(of_type(value, str, 'a size, as text: "512MB", "1GiB"'))
        if count < smallest:
            raise WrongValueError(f"must be at least {size_text(smallest)}")
        return count

    return read


def filter_text(value: object) -> str:
    """A filter of records (docs/filter.md). It is compiled, to check it."""
    found = of_type(value, str, 'a filter in quotes: "tcp and dport 443"')
    try:
        compiled = as_filter(found)
    except UsageError as error:
        raise WrongValueError(str(error).removeprefix("filter: ")) from error
    if compiled is not None and compiled.uses_event_kinds:
        raise WrongValueError("records are no events: 'new', 'update' and 'destroy' select nothing here")
    return found


def absolute_path(value: object) -> str:
    """A file or folder; a service has no folder of its own to start from."""
    found = text(value)
    if not found.startswith("/"):
        raise WrongValueError(f"'{found}' is no absolute path: a service starts in /, so begin with /")
    return found


def input_path(value: object) -> str:
    """A file to read, `-` for the standard input."""
    return "-" if value == "-" else absolute_path(value)


def list_of(one: Callable[[object], T], *, what: str) -> Callable[[object], tuple[T, ...]]:
    """A list that is not empty; each fault is told with its element's line."""

    def read(value: object) -> tuple[T, ...]:
        found = elements(value, f"a list of {what}: [ … ]")
        if not found:
            raise WrongValueError("is empty: write something, or leave the line out")
        read: list[T] = []
        for index, element in enumerate(found):
            try:
                read.append(one(element))
            except UsageError as error:
                raise WrongValueError(str(error), path=(index,)) from error
        return tuple(read)

    return read


def options(value: object) -> dict[str, str]:
    """A sink's own options: text, numbers and switches; all become text, as behind a target's `?`."""
    found = table(value, 'a table: { compress = "zstd" }')
    read: dict[str, str] = {}
    for name, option in found.items():
        if type(option) is bool:
            read[name] = "yes" if option else "no"
        elif type(option) in (str, int, float):
            read[name] = str(option)
        else:
            raise WrongValueError(f"option '{name}' must be text, a number, true or false", path=(name,))
    return read


def split_target(value: str, schemes: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """`ipfix://host:4739?mtu=1400`: the target without its options, and these.

    Raises:
        UsageError: it does not begin with one of *schemes*, leads nowhere, or says an option twice.
    """
    from urllib.parse import parse_qsl

    found = TARGET.fullmatch(value)
    if not found:
        raise WrongValueError(f"'{value}' does not say what kind of target it is: begin with {listed(schemes)}")
    scheme, rest, query = found[1], found[2], found[3] or ""
    if scheme not in schemes:
        advice = close_to(scheme, schemes) or f": say {listed(schemes)}"
        raise WrongValueError(f"there is no kind of target '{scheme}'{advice}")
    if not rest.strip("/") and scheme not in ALONE:
        raise WrongValueError(f"'{value}' leads nowhere: say {scheme}:/absolute/path or {scheme}://host:port")
    pairs = parse_qsl(query, keep_blank_values=True)
    chosen = dict(pairs)
    if len(chosen) < len(pairs):
        raise WrongValueError(f"'{value}' says an option twice")
    return f"{scheme}:{rest}", chosen


def listed(schemes: tuple[str, ...]) -> str:
    """`parquet:, ipfix:`."""
    return ", ".join(f"{scheme}:" for scheme in schemes)

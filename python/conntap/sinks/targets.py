"""Sinks by the names that people give them: `parquet:/var/lib/conntap`, `ipfix://collector:4739?transport=tcp`."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

from conntap.errors import UsageError
from conntap.units import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conntap.sinks.base import Sink

__all__ = ["SCHEMES", "make_sink"]


class Wanted(Protocol):
    """What a sink is to be: `conntap.config.SinkConfig`, or anything like it."""

    @property
    def target(self) -> str: ...
    @property
    def fields(self) -> tuple[str, ...] | None: ...
    @property
    def options(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Kind:
    """A kind of sink.

    Attributes:
        module: where its class is.
        name: of its class.
        place: makes of what stands behind the scheme the arguments that say where.
        options: what may stand behind the `?`: argument, and how its text is read.
        fields: it can be told which fields to write.
    """

    module: str
    name: str
    place: Callable[[str], dict[str, Any]]
    options: Mapping[str, Callable[[str], Any]]
    fields: bool = False


def flag(text: str) -> bool:
    """yes or no, in all the ways that people say it."""
    words = {
        "yes": True,
        "true": True,
        "1": True,
        "on": True,
        "": True,
        "no": False,
        "false": False,
        "0": False,
        "off": False,
    }
    if text.lower() not in words:
        raise UsageError(f"'{text}' is neither yes nor no")
    return words[text.lower()]


def number(text: str) -> int:
    """A count."""
    if not text.isascii() or not text.isdecimal():
        raise UsageError(f"'{text}' is no number")
    return int(text)


def path(rest: str) -> dict[str, Any]:
    """`:/var/log/flows.jsonl`"""
    if not rest:
        raise UsageError("no path", hint="write it behind the colon")
    return {"path": rest}


def directory(rest: str) -> dict[str, Any]:
    """`:/var/lib/conntap`"""
    return {"directory": path(rest)["path"]}


def networks(text: str) -> tuple[str, ...]:
    """`10.0.0.0/8,fd00::/8`"""
    return tuple(part for part in text.split(",") if part)


def address(rest: str) -> dict[str, Any]:
    """`://host:port`"""
    try:
        parts = urlsplit(f"x:{rest}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"'{rest.removeprefix('//')}' is no host and port: {error}") from error
    if not rest.startswith("//") or not host or parts.path not in ("", "/") or parts.username:
        raise UsageError("no host", hint="write //host or //host:port behind the colon")
    return {"host": host, "port": port}


def nothing(rest: str) -> dict[str, Any]:
    """`null:`"""
    if rest:
        raise UsageError(f"'{rest}' means nothing here")
    return {}


def receiver(rest: str) -> dict[str, Any]:
    """`//host:port`"""
    found = address(rest)
    return {"address": found["host"], "port": found["port"]}


def local_socket(rest: str) -> dict[str, Any]:
    """`syslog:`, or `syslog:/run/log`"""
    return {"address": rest or "/dev/log", "transport": "unix"}


def journald(rest: str) -> dict[str, Any]:
    """`journald:`, or a socket elsewhere."""
    return {"path": rest} if rest else {}


WORD: Callable[[str], Any] = str
SYSLOG: dict[str, Callable[[str], Any]] = {"facility": WORD, "severity": WORD, "app_name": WORD}
#: Options of both kinds of IPFIX.
MESSAGES: dict[str, Callable[[str], Any]] = {
    "domain": number, "nanoseconds": flag, "extended": flag, "nat_events": WORD,
}  # fmt: skip
ROTATION: dict[str, Callable[[str], Any]] = {
    "rotate_bytes": parse_size, "rotate_seconds": parse_duration, "compress": WORD,
}  # fmt: skip
LINES: dict[str, Callable[[str], Any]] = {**ROTATION, "keep": number, "resume": flag}
TLS: dict[str, Callable[[str], Any]] = {"ca": WORD, "cert": WORD, "key": WORD, "verify": flag}

#: Scheme, and whether `//host` follows → what it is.
KINDS: dict[tuple[str, bool], Kind] = {
    ("null", False): Kind("conntap.sinks.null", "NullSink", nothing, {}),
    ("jsonl", False): Kind(
        "conntap.sinks.jsonl",
        "JsonlSink",
        path,
        {**LINES, "keys": WORD, "device": WORD},
        fields=True,
    ),
    ("csv", False): Kind("conntap.sinks.csv_lines", "CsvSink", path, LINES, fields=True),
    ("syslog", True): Kind(
        "conntap.sinks.syslog",
        "SyslogSink",
        receiver,
        {
            **SYSLOG,
            "transport": WORD,
            "format": WORD,
            "framing": WORD,
            "hostname": WORD,
            "max_length": number,
            "ca": WORD,
            "cert": WORD,
            "key": WORD,
            "tls_name": WORD,
        },
        fields=True,
    ),
    ("syslog", False): Kind(
        "conntap.sinks.syslog",
        "SyslogSink",
        local_socket,
        {**SYSLOG, "format": WORD, "hostname": WORD, "max_length": number},
        fields=True,
    ),
    ("journald", False): Kind("conntap.sinks.syslog", "JournaldSink", journald, SYSLOG, fields=True),
    ("parquet", False): Kind(
        "conntap.sinks.parquet",
        "ParquetSink",
        directory,
        {
            "rows": number,
            "seconds": parse_duration,
            "nat_only": flag,
            "keep_ids": flag,
            "inside": networks,
            "level": number,
            "compact": flag,
        },
    ),
    ("ipfix", True): Kind(
        "conntap.sinks.ipfix",
        "IpfixSink",
        address,
        {
            **MESSAGES,
            **TLS,
            "transport": WORD,
            "mtu": number,
            "version": number,
            "templates_every": parse_duration,
            "statistics_every": parse_duration,
            "timeout": parse_duration,
        },
    ),
    ("ipfix", False): Kind("conntap.sinks.ipfix_file", "IpfixFileSink", path, {**MESSAGES, **ROTATION}),
}
SCHEMES = tuple(sorted({scheme for scheme, _ in KINDS}))


def make_sink(wanted: Wanted, privacy: object = None, retention: object = None) -> Sink:
    """Make the sink that a target names; it is not opened yet.

    Args:
        wanted: target, options and fields.
        privacy: what must not be written (`conntap.config.PrivacyConfig`), for sinks that know of it.
        retention: what is kept for how long (`conntap.config.RetentionConfig`).

    Raises:
        UsageError: there is no such kind of sink, or an option that it does not have.
    """
    scheme, _, rest = wanted.target.partition(":")
    kind = KINDS.get((scheme, rest.startswith("//")))
    if kind is None:
        hint = f"there are {', '.join(SCHEMES)}"
        if scheme in SCHEMES:
            hint = f"write {scheme}:{'PATH' if rest.startswith('//') else '//HOST:PORT'}"
        raise UsageError(f"{wanted.target}: there is no such sink", hint=hint)
    try:
        arguments = kind.place(rest)
        for name, text in wanted.options.items():
            arguments[name.replace("-", "_")] = read_option(kind, name, text)
    except UsageError as error:
        raise UsageError(f"{wanted.target}: {error}", hint=error.hint) from error
    if wanted.fields is not None:
        if not kind.fields:
            raise UsageError(f"{wanted.target}: fields cannot be chosen here")
        arguments["fields"] = wanted.fields
    make = getattr(import_module(kind.module), kind.name)
    # Files and folders name themselves; of the settings of all sinks each takes those that it can keep.
    known = inspect.signature(make).parameters
    given = {"target": wanted.target, "privacy": privacy, "retention": retention}
    return cast("Sink", make(**{key: value for key, value in given.items() if key in known}, **arguments))


def read_option(kind: Kind, name: str, text: str) -> Any:
    """The value of one option."""
    read = kind.options.get(name.replace("-", "_"))
    if read is None:
        known = ", ".join(sorted(kind.options)) or "none"
        raise UsageError(f"there is no option '{name}'", hint=f"there are: {known}")
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error

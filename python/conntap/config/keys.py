"""Every key of the configuration file: how it is written, what holds without it, what it means.

Reader, writer, command line and docs/log-config.md follow this one table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from conntap.config.model import BUFFER_BYTES, SPOOL_BYTES, SYNC_MS
from conntap.config.values import (
    WrongValueError,
    absolute_path,
    close_to,
    duration,
    filter_text,
    flag,
    input_path,
    list_of,
    one_of,
    options,
    size,
    table,
    text,
)
from conntap.units import size_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEYS", "LISTS", "RETAINED", "TABLES", "Key", "keys_of"]

DAY: Final = 86400.0
TEN_YEARS: Final = 3653 * DAY


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        table: the table it stands in, "" for the top.
        name: its own name.
        form: what is written behind it, in words.
        default: what holds when it is left out, in words.
        read: makes its meaning out of TOML's value; raises UsageError.
        meaning: one or two sentences.
    """

    table: str
    name: str
    form: str
    default: str
    read: Callable[[object], Any]
    meaning: str

    @property
    def full(self) -> str:
        """`source.buffer`."""
        return f"{self.table}.{self.name}" if self.table else self.name


def bits(value: object) -> tuple[int, int]:
    """`{ ipv4 = 24, ipv6 = 56 }` or `"24/56"`: both families, so that none stays in clear by oversight."""
    if isinstance(value, str) and (found := re.fullmatch(r"([0-9]{1,3})/([0-9]{1,3})", value)):
        value = {"ipv4": int(found[1]), "ipv6": int(found[2])}
    right = '{ ipv4 = 24, ipv6 = 56 } or "24/56"'
    said = table(value, right)
    for name in said:
        if name not in ("ipv4", "ipv6"):
            raise WrongValueError(f"there is no '{name}' here: say {right}", path=(name,))
    read: list[int] = []
    for name, longest in (("ipv4", 32), ("ipv6", 128)):
        if name not in said:
            raise WrongValueError(f"says nothing of {name}, whose addresses would stay whole: add {name} = …")
        count = said[name]
        if type(count) is not int or not 0 <= count < longest:
            raise WrongValueError(f"{name}: must be a number of bits to keep, from 0 to {longest - 1}", path=(name,))
        read.append(count)
    return read[0], read[1]


def limit(value: object) -> dict[str, Any]:
    """`"30d"`, or `{ age = "30d", size = "100GB" }`."""
    if not isinstance(value, dict):
        return {"age_seconds": AGE(value)}
    readers = {"age": ("age_seconds", AGE), "size": ("bytes", size(1 << 20))}
    found: dict[str, Any] = {}
    for name, said in table(cast("object", value), "a table").items():
        if name not in readers:
            raise WrongValueError(
                f"there is no '{name}' here{close_to(name, readers) or ': age or size'}", path=(name,)
            )
        field, read = readers[name]
        try:
            found[field] = read(said)
        except WrongValueError as error:
            raise WrongValueError(f"{name}: {error}", path=(name,)) from error
        except ValueError as error:
            raise WrongValueError(str(error), path=(name,)) from error
    if not found:
        raise WrongValueError('is empty: say { age = "30d" }, { size = "100GB" } or both')
    return found


AGE: Final = duration(3600.0, TEN_YEARS)
#: Tables of the file, and lists of tables.
TABLES: Final = ("source", "sink", "privacy", "retention")
LISTS: Final = ("sink",)
#: Kinds of record that are kept for a time of their own.
RETAINED: Final = ("flows", "interims", "nat", "gaps")

KEYS: Final = (
    Key("", "filter", "filter", "all", filter_text,
        "Of which connections records are made (docs/filter.md). Gaps are always recorded."),
    Key("", "bindings", '"none", "nat", "all"', '"none"', one_of("none", "nat", "all"),
        "Of which connections a record is made already when they begin: none, those that are translated, all."),
    Key("", "interim", 'duration or "off"', '"off"', duration(1.0, 7 * DAY, off=True),
        "How often a connection that goes on is told. Each time costs one reading of the kernel's table."),
    Key("", "state", "path", "the folder of the first `parquet:` sink, else systemd's StateDirectory", absolute_path,
        "Folder of the journal and of the sinks' receipts."),
    Key("", "sync", "duration", f'"{SYNC_MS}ms"', duration(0.001, 60.0),
        "How often the journal is made durable: a power cut loses at most this; a crash of conntap loses nothing."),
    Key("source", "files", "list of paths", "none", list_of(input_path, what="paths"),
        "Recordings and captures of packets instead of the kernel, in order."),
    Key("source", "interface", "text", "none", text,
        'Packets of this interface, through the userspace engine, instead of the kernel. "any" is all.'),
    Key("source", "engine", "list of text", "none", list_of(text, what="options"),
        'Options of the engine as on the command line, `["--helper", "ftp"]`. With `files` and `interface`.'),
    Key("source", "collect", "list of targets", "none", list_of(text, what="addresses"),
        "Records of other exporters instead of the kernel: where they come in."),
    Key("source", "netns", "text", "the process's own", text,
        "Network namespace: a name below /run/netns, a path, or a process id. With the kernel and `interface`."),
    Key("source", "reliable", "true, false", "true", flag,
        "The kernel delivers again what did not fit, so that no end is lost. Kernel only; `false` where service goes "
        "before the log: a logger that stands still can then not fill the connection table."),
    Key("source", "buffer", "size", f'"{size_text(BUFFER_BYTES)}"', size(64 << 10),
        "Receive buffer to ask the kernel for. Kernel only."),
    Key("source", "settings", '"check", "fix", "ignore"', '"check"', one_of("check", "fix", "ignore"),
        "When the kernel counts, dates or reports too little: say so, set it right, or say nothing. Kernel only."),
    Key("sink", "target", "target", "must be said", text,
        "Where records go. Options may follow a `?`, `filter`, `fields` (with commas) and `spool` among them."),
    Key("sink", "filter", "filter", "all", filter_text, "Which of the records this sink gets. Gaps always."),
    Key("sink", "fields", "list of fields", "all that it has", list_of(text, what="fields"),
        "Which fields are written (docs/fields.md)."),
    Key("sink", "spool", "size", f'"{size_text(SPOOL_BYTES)}"', size(1 << 20),
        "How much may wait on disk while the receiver is away. "
        "When it is full the logger waits, and the kernel holds the events."),
    Key("sink", "options", "table", "none", options, "The sink's own options."),
    Key("privacy", "no_destination", "true, false", "false", flag,
        "Leave out whom the inside hosts talked to."),
    Key("privacy", "truncate_inside", '{ ipv4 = bits, ipv6 = bits }', "whole", bits,
        "Keep only so many bits of inside addresses."),
    Key("privacy", "hash_key_file", "path", "none", absolute_path,
        "Replace inside addresses by a hash with the key in this file: equal hosts stay equal, and only who has the "
        "key can tell which."),
    Key("retention", "flows", "duration, or { age, size }", "for ever", limit, "Connections that ended."),
    Key("retention", "interims", "duration, or { age, size }", "as `flows`", limit,
        "What was told of connections that went on."),
    Key("retention", "nat", "duration, or { age, size }", "as `flows`", limit,
        "NAT bindings: inside and outside address and port, begin and end. Without destination and counters."),
    Key("retention", "gaps", "duration, or { age, size }", "as the longest of the others", limit,
        "What is not known. Must be kept as long as anything else, or nothing proves that the rest is complete."),
    Key("retention", "max_bytes", "size", "no limit", size(64 << 20),
        "Of all together; the oldest records go first."),
)  # fmt: skip


def keys_of(table: str) -> dict[str, Key]:
    """The keys of one table, "" for the top."""
    return {key.name: key for key in KEYS if key.table == table}

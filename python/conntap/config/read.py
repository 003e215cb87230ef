"""Settings from a file or from a command line: one way, so that both mean the same, and all faults at once.

`read_file` knows lines, `from_options` options; each hands a table as TOML would give it to `make`.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from conntap.config.checks import contradictions
from conntap.config.faults import ConfigError, Fault
from conntap.config.keys import KEYS, LISTS, RETAINED, TABLES, keys_of
from conntap.config.lines import lines_of
from conntap.config.model import Limit, LogConfig, PrivacyConfig, RetentionConfig, SinkConfig, SourceConfig
from conntap.config.values import ALONE, close_to, split_target
from conntap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conntap.config.lines import Path

__all__ = ["SCHEMES", "Schemes", "make", "read_file", "read_text"]


@dataclass(frozen=True, slots=True)
class Schemes:
    """Kinds of targets that there are: of sinks, and of addresses at which records come in."""

    sinks: tuple[str, ...] = ("parquet", "ipfix", "jsonl", "csv", "syslog", "journald", "null")
    sources: tuple[str, ...] = ("ipfix",)


SCHEMES: Final = Schemes()


def read_file(path: str | os.PathLike[str], schemes: Schemes = SCHEMES) -> LogConfig:
    """Read a configuration file.

    Args:
        path: of the file.
        schemes: kinds of targets that there are.

    Raises:
        ConfigError: with all that is wrong in it.
        UsageError: it cannot be read.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            raw = file.read()
    except OSError as error:
        raise UsageError(
            f"reading {name}: {error.strerror or error}",
            hint="conntap config example shows what such a file looks like",
        ) from error
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([Fault(f"{name}:{line}", "", "this is no UTF-8 text")]) from error
    return read_text(text, name, schemes)


def read_text(text: str, name: str = "<text>", schemes: Schemes = SCHEMES) -> LogConfig:
    """Read a configuration from text; *name* is for its errors. Arguments and errors as for `read_file`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([syntax_fault(error, text, name)]) from error
    lines = lines_of(text)

    def place(path: Path) -> str:
        while path and path not in lines:
            path = path[:-1]
        return f"{name}:{lines.get(path, 1)}"

    return make(data, place, order=lambda fault: int(fault.place.rpartition(":")[2]), schemes=schemes)


def syntax_fault(error: tomllib.TOMLDecodeError, text: str, name: str) -> Fault:
    """tomllib's words, with the place in front as of all other faults."""
    message, _, at = str(error).rpartition(" (at ")
    message = message[:1].lower() + message[1:]
    line, _, column = at.removeprefix("line ").rstrip(")").partition(", column ")
    if not line.isdecimal():  # "end of document"
        last = text.count("\n") + (not text.endswith("\n"))
        return Fault(f"{name}:{max(last, 1)}", "", f"{message} at the end of the file")
    return Fault(f"{name}:{line}:{column}", "", message)


def make(
    data: dict[str, Any],
    place: Callable[[Path], str],
    *,
    order: Callable[[Fault], int] | None = None,
    schemes: Schemes = SCHEMES,
) -> LogConfig:
    """Make settings of a table as TOML gives it.

    Args:
        data: the table.
        place: where a path is said.
        order: what faults are sorted by; None: as they were found.
        schemes: kinds of targets that there are.

    Raises:
        ConfigError: with all that is wrong.
    """
    reader = _Reader(place, schemes)
    config = reader.all(data)
    for path, key, message in contradictions(config, reader.said, {fault.key for fault in reader.faults}):
        reader.fault(path, key, message)
    if reader.faults:
        raise ConfigError(sorted(reader.faults, key=order) if order else reader.faults)
    return config


class _Reader:
    """Reads all it can; what is wrong becomes a fault, and its default holds."""

    def __init__(self, place: Callable[[Path], str], schemes: Schemes) -> None:
        self.place = place
        self.schemes = schemes
        self.faults: list[Fault] = []
        #: What was said, right or wrong: contradictions are about that.
        self.said: set[Path] = set()

    def fault(self, path: Path, key: str, message: str) -> None:
        self.faults.append(Fault(self.place(path), key, message))

    def all(self, data: dict[str, Any]) -> LogConfig:
        top = self.table((), "", {name: value for name, value in data.items() if name not in TABLES})
        tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        for name in TABLES:
            if name in data:
                self.said.add((name,))
                wanted = cast("list[object]", data[name]) if name in LISTS else [data[name]]
                if type(wanted) is not list:
                    self.fault((name,), name, f"is a list of tables: write [[{name}]]")
                    continue
                for index, table in enumerate(wanted):
                    path: Path = (name, index) if name in LISTS else (name,)
                    if type(table) is dict:
                        tables[name].append(self.table(path, name, cast("dict[str, Any]", table)))
                    else:
                        head = f"[[{name}]]" if name in LISTS else f"[{name}]"
                        self.fault(path, name, f"is a table: write {head}, and its keys on the lines below")
        source = tables["source"][0] if tables["source"] else {}
        config: dict[str, Any] = {
            ours: values[theirs]
            for values, theirs, ours in (
                (top, "filter", "filter"),
                (top, "bindings", "bindings"),
                (top, "interim", "interim_seconds"),
                (top, "state", "state"),
                (source, "reliable", "reliable"),
                (source, "buffer", "buffer_bytes"),
                (source, "netns", "netns"),
                (source, "settings", "settings"),
            )
            if theirs in values
        }
        if "sync" in top:
            config["sync_ms"] = max(1, round(top["sync"] * 1000))
        return LogConfig(
            **config,
            source=self.source(source),
            sinks=tuple(sink for index, values in enumerate(tables["sink"]) if (sink := self.sink(index, values))),
            privacy=PrivacyConfig(**(tables["privacy"][0] if tables["privacy"] else {})),
            retention=self.retention(tables["retention"][0] if tables["retention"] else {}),
        )

    def table(self, path: Path, table: str, values: dict[str, Any]) -> dict[str, Any]:
        """One table's keys with their meaning."""
        keys = keys_of(table)
        found: dict[str, Any] = {}
        for name, value in values.items():
            key = keys.get(name)
            if key is None:
                self.fault((*path, name), f"{table}.{name}" if table else name, self.unknown(name, table))
                continue
            self.said.add((*path, name))
            try:
                found[name] = key.read(value)
            except UsageError as error:
                self.fault((*path, name, *getattr(error, "path", ())), key.full, str(error))
        return found

    def unknown(self, name: str, table: str) -> str:
        """What to say of a key that is not there."""
        elsewhere = [key.table for key in KEYS if key.name == name]
        if elsewhere:
            return f"does not go here: write it {' or '.join(map(where, elsewhere))}"
        names = [*keys_of(table), *(() if table else TABLES)]
        return "there is no such key" + (close_to(name, names) or f": say {', '.join(names)}")

    def source(self, values: dict[str, Any]) -> SourceConfig:
        for index, address in enumerate(values.get("collect", ())):
            try:
                split_target(address, self.schemes.sources)
            except UsageError as error:
                self.fault(("source", "collect", index), "source.collect", str(error))
        return SourceConfig(
            **{name: values[name] for name in ("files", "interface", "engine", "collect") if name in values}
        )

    def sink(self, index: int, values: dict[str, Any]) -> SinkConfig | None:
        """One sink; what stands behind its target's `?` counts as if it stood in the table."""
        path: Path = ("sink", index)
        self.fields(path, values.get("fields", ()))
        if "target" not in values:
            if (*path, "target") not in self.said:
                self.fault(path, "sink.target", 'is missing: say where records go, target = "parquet:/var/lib/conntap"')
            return None
        at: Path = (*path, "target")
        try:
            target, behind = split_target(values["target"], self.schemes.sinks)
        except UsageError as error:
            self.fault(at, "sink.target", str(error))
            return None
        if problem := no_absolute_path(target):
            self.fault(at, "sink.target", problem)
        options = dict(values.get("options", {}))
        keys = keys_of("sink")
        for name, text in behind.items():
            if name in options or name in values:
                self.fault(at, "sink.target", f"'{name}' is said behind the ? and below: once is enough")
            elif name in ("filter", "fields", "spool"):
                said: object = [word.strip() for word in text.split(",")] if name == "fields" else text
                try:
                    values[name] = keys[name].read(said)
                except UsageError as error:
                    self.fault(at, f"sink.{name}", str(error))
                else:
                    self.fields(path, values[name] if name == "fields" else ())
            else:
                options[name] = text
        chosen = {
            ours: values[name]
            for name, ours in (("filter", "filter"), ("fields", "fields"), ("spool", "spool_bytes"))
            if name in values
        }
        return SinkConfig(target=target, options=options, **chosen)

    def fields(self, path: Path, fields: Sequence[str]) -> None:
        """Only fields that there are, each once."""
        from conntap._core import field_names

        known = field_names()
        for index, field in enumerate(fields):
            at = (*path, "fields", index)
            if field not in known:
                advice = close_to(field, known) or ": docs/fields.md lists them"
                self.fault(at, "sink.fields", f"there is no field '{field}'{advice}")
            elif field in fields[:index]:
                self.fault(at, "sink.fields", f"'{field}' is said twice")

    def retention(self, values: dict[str, Any]) -> RetentionConfig:
        return RetentionConfig(
            **{name: Limit(**values[name]) for name in RETAINED if name in values}, max_bytes=values.get("max_bytes")
        )


def where(table: str) -> str:
    """In which part of the file a key goes."""
    if not table:
        return "at the top, above all tables"
    return f"below [[{table}]]" if table in LISTS else f"below [{table}]"


def no_absolute_path(target: str) -> str | None:
    """What to say of a target that is a file or folder named from nowhere."""
    scheme, _, rest = target.partition(":")
    if scheme in ALONE or rest.startswith("/") or rest == "-":
        return None
    return f"'{rest}' is no absolute path: a service starts in /, so say {scheme}:/…/{rest}" + (
        f", or {scheme}://host:port" if scheme == "ipfix" else ""
    )

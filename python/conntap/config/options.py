"""The same settings from a command line: its options become the table that a file would have given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from conntap.config.faults import ConfigError, Fault
from conntap.config.read import SCHEMES, Schemes, make

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.config.lines import Path
    from conntap.config.model import LogConfig

__all__ = ["from_options"]

#: Where `conntap log` says what a file says by key.
OPTION_OF: Final[dict[Path, str]] = {
    ("filter",): "FILTER",
    ("bindings",): "--bindings",
    ("interim",): "--interim",
    ("state",): "--state",
    ("sync",): "--sync",
    ("source", "files"): "FILE",
    ("source", "interface"): "--interface",
    ("source", "engine"): "engine options",
    ("source", "collect"): "SOURCE",
    ("source", "netns"): "--netns",
    ("source", "reliable"): "--no-reliable",
    ("source", "buffer"): "--buffer",
    ("source", "settings"): "--fix",
    ("sink",): "--to",
    ("privacy", "no_destination"): "--no-destination",
    ("privacy", "truncate_inside"): "--truncate-inside",
    ("privacy", "hash_key_file"): "--hash-inside",
    ("retention",): "--keep",
}


def from_options(
    *,
    to: Sequence[str],
    filter: str = "",
    bindings: str = "none",
    interim: float | str | None = None,
    state: str | None = None,
    sync: float | str | None = None,
    files: Sequence[str] = (),
    interface: str | None = None,
    engine: Sequence[str] = (),
    collect: Sequence[str] = (),
    netns: str | None = None,
    reliable: bool = True,
    buffer: int | str | None = None,
    settings: str = "check",
    no_destination: bool = False,
    truncate_inside: str | None = None,
    hash_key_file: str | None = None,
    keep: Sequence[str] = (),
    schemes: Schemes = SCHEMES,
) -> LogConfig:
    """Make settings of a command line. What is left at its default counts as not said.

    Args:
        to: targets of sinks, with their options behind a `?`.
        filter: which records are made.
        bindings: none, nat, all.
        interim: seconds, or text with a unit.
        state: folder of the journal; paths may be relative here.
        sync: seconds, or text with a unit.
        files: recordings and captures.
        interface: whose packets.
        engine: options of the engine, as typed.
        collect: addresses at which records come in.
        netns: network namespace.
        reliable: the kernel delivers again what did not fit.
        buffer: bytes, or text with a unit.
        settings: check, fix, ignore.
        no_destination: leave out destinations.
        truncate_inside: `24/56`: bits kept of IPv4 and IPv6.
        hash_key_file: the key with which inside addresses are hashed.
        keep: `flows=30d`, `nat=180d`, `all=200GB`.
        schemes: kinds of targets that there are.

    Raises:
        ConfigError: with all that is wrong; places are options.
    """
    said: dict[Path, Any] = {
        ("filter",): filter or None,
        ("bindings",): None if bindings == "none" else bindings,
        ("interim",): interim,
        ("state",): state and os.path.abspath(state),
        ("sync",): sync,
        ("source", "files"): [path if path == "-" else os.path.abspath(path) for path in files] or None,
        ("source", "interface"): interface,
        ("source", "engine"): list(engine) or None,
        ("source", "collect"): list(collect) or None,
        ("source", "netns"): netns,
        ("source", "reliable"): None if reliable else False,
        ("source", "buffer"): buffer,
        ("source", "settings"): None if settings == "check" else settings,
        ("privacy", "no_destination"): no_destination or None,
        ("privacy", "truncate_inside"): truncate_inside,
        ("privacy", "hash_key_file"): hash_key_file and os.path.abspath(hash_key_file),
    }
    data: dict[str, Any] = {}
    for path, value in said.items():
        if value is not None:
            table = data if len(path) == 1 else data.setdefault(str(path[0]), {})
            table[str(path[-1])] = value
    if to:
        data["sink"] = [{"target": absolute(target)} for target in to]
    if keep:
        data["retention"] = dict(kept(text) for text in keep)

    def place(path: Path) -> str:
        if path[:1] == ("sink",) and len(path) > 1:
            return f"--to {to[int(path[1])]}"
        while path and path not in OPTION_OF:
            path = path[:-1]
        return OPTION_OF.get(path, "")

    try:
        return make(data, place, schemes=schemes)
    except ConfigError as error:
        raise ConfigError([Fault(fault.place, shorter(fault.key), fault.message) for fault in error.faults]) from None


def shorter(key: str) -> str:
    """A key's own name, where its option can say several things."""
    table, _, name = key.rpartition(".")
    return name if table in ("sink", "retention") and name != "target" else ""


def absolute(target: str) -> str:
    """A file's target from the folder in which the command was typed."""
    scheme, colon, rest = target.partition(":")
    if scheme not in ("parquet", "jsonl", "csv", "ipfix") or not rest or rest[0] in "/?" or rest == "-":
        return target
    path, mark, options = rest.partition("?")
    return f"{scheme}{colon}{path if path == '-' else os.path.abspath(path)}{mark}{options}"


def kept(text: str) -> tuple[str, str]:
    """`flows=30d`; `all=200GB` is short for max_bytes."""
    name, _, value = text.partition("=")
    return "max_bytes" if name.strip() == "all" else name.strip(), value.strip()

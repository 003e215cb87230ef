"""Settings back as TOML: what is in force, and the example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from conntap.config.keys import RETAINED
from conntap.units import duration_text, size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.config.model import LogConfig, SinkConfig

__all__ = ["example", "quoted", "write"]


def example() -> str:
    """A configuration that can be used as it is, every key with a comment."""
    from importlib.resources import files

    return files("conntap.config").joinpath("example.toml").read_text(encoding="utf-8")


def write(config: LogConfig) -> str:
    """The settings in force as a file that says the same; what has no value is left out."""
    lines = list(pairs(top(config)))
    for name, values in (("source", source(config)), ("privacy", privacy(config)), ("retention", retention(config))):
        if written := list(pairs(values)):
            lines += ["", f"[{name}]", *written]
    for sink in config.sinks:
        lines += ["", "[[sink]]", *pairs(of_sink(sink))]
    return "\n".join(lines) + "\n"


def top(config: LogConfig) -> dict[str, Any]:
    return {
        "filter": config.filter or None,
        "bindings": None if config.source.kind == "collect" else config.bindings,
        "interim": None if config.interim_seconds is None else duration_text(config.interim_seconds),
        "state": config.state,
        "sync": f"{config.sync_ms}ms",
    }


def source(config: LogConfig) -> dict[str, Any]:
    """Only what does something with this source, as the reader wants it."""
    chosen = config.source
    kernel = chosen.kind == "kernel"
    return {
        "files": list(chosen.files) or None,
        "interface": chosen.interface,
        "engine": list(chosen.engine) or None,
        "collect": list(chosen.collect) or None,
        "netns": config.netns,
        "reliable": config.reliable if kernel else None,
        "buffer": size_text(config.buffer_bytes) if kernel else None,
        "settings": config.settings if kernel else None,
    }


def privacy(config: LogConfig) -> dict[str, Any]:
    bits = config.privacy.truncate_inside
    return {
        "no_destination": config.privacy.no_destination,
        "truncate_inside": bits and {"ipv4": bits[0], "ipv6": bits[1]},
        "hash_key_file": config.privacy.hash_key_file,
    }


def retention(config: LogConfig) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in RETAINED:
        limit = getattr(config.retention, name)
        parts: dict[str, str] = {}
        if limit.age_seconds is not None:
            parts["age"] = duration_text(limit.age_seconds)
        if limit.bytes is not None:
            parts["size"] = size_text(limit.bytes)
        values[name] = parts["age"] if list(parts) == ["age"] else parts or None
    most = config.retention.max_bytes
    values["max_bytes"] = None if most is None else size_text(most)
    return values


def of_sink(sink: SinkConfig) -> dict[str, Any]:
    return {
        "target": sink.target,
        "filter": sink.filter or None,
        "fields": None if sink.fields is None else list(sink.fields),
        "spool": size_text(sink.spool_bytes),
        "options": sink.options or None,
    }


def pairs(values: dict[str, Any]) -> Iterator[str]:
    """`key = value`, without those that are None."""
    return (f"{quoted_key(name)} = {toml(value)}" for name, value in values.items() if value is not None)


def toml(value: Any) -> str:
    """One value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, cast('list[Any]', value)))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(pairs(cast('dict[str, Any]', value)))} }}"
    return quoted(value)


def quoted_key(name: str) -> str:
    bare = name and name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()
    return name if bare else quoted(name)


def quoted(text: str) -> str:
    """Text as TOML's basic string."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    signs = (
        escapes.get(sign) or (f"\\u{ord(sign):04x}" if ord(sign) < 32 or ord(sign) == 127 else sign) for sign in text
    )
    return f'"{"".join(signs)}"'

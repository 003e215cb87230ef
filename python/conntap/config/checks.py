"""Settings that are right one by one and wrong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.config.keys import RETAINED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from conntap.config.lines import Path
    from conntap.config.model import LogConfig, RetentionConfig, SourceKind

__all__ = ["contradictions"]

#: Keys that do something only with these sources.
ONLY_WITH: Final[dict[Path, tuple[SourceKind, ...]]] = {
    ("source", "engine"): ("files", "interface"),
    ("source", "netns"): ("kernel", "interface"),
    ("source", "reliable"): ("kernel",),
    ("source", "buffer"): ("kernel",),
    ("source", "settings"): ("kernel",),
    ("interim",): ("kernel", "files", "interface"),
    ("bindings",): ("kernel", "files", "interface"),
}
SOURCES: Final = ("files", "interface", "collect")


def contradictions(
    config: LogConfig, said: AbstractSet[Path], wrong: AbstractSet[str]
) -> Iterator[tuple[Path, str, str]]:
    """Each with the path at fault, its key and what to say.

    Args:
        config: what could be read.
        said: the paths that were said, also those that could not be read.
        wrong: the keys that could not be read; what follows from them is not told on top.
    """
    chosen = [name for name in SOURCES if ("source", name) in said]
    for name in chosen[1:]:
        yield ("source", name), f"source.{name}", f"goes not with {chosen[0]}: a logger has one source"
    kind = config.source.kind
    for path, kinds in ONLY_WITH.items():
        if path in said and len(chosen) < 2 and kind not in kinds:
            yield path, ".".join(map(str, path)), f"does nothing when the source is {named(kind)}: leave it out"
    if not config.sinks and not any(key.partition(".")[0] == "sink" for key in wrong):
        yield (
            (),
            "",
            'there is no [[sink]], so records would go nowhere: write [[sink]] and target = "parquet:/var/lib/conntap"',
        )
    yield from twice(config)
    yield from privacy(config, said)
    ledgers = any(sink.scheme == "parquet" for sink in config.sinks) or "sink.target" in wrong
    if any(path[0] == "retention" for path in said) and not ledgers:
        reason = "does nothing without a parquet: sink, which alone keeps records: leave it out"
        yield ("retention",), "retention", reason
    if not any(key.startswith("retention.") for key in wrong):
        yield from retention(config.retention)


def named(kind: SourceKind) -> str:
    return {"kernel": "the kernel", "files": "files", "interface": "an interface", "collect": "other exporters"}[kind]


def twice(config: LogConfig) -> Iterator[tuple[Path, str, str]]:
    """Two sinks that write to one place."""
    seen: set[str] = set()
    for index, sink in enumerate(config.sinks):
        if sink.target in seen:
            yield ("sink", index, "target"), "sink.target", f"'{sink.target}' is the target of a sink above already"
        seen.add(sink.target)


def privacy(config: LogConfig, said: AbstractSet[Path]) -> Iterator[tuple[Path, str, str]]:
    if {("privacy", "truncate_inside"), ("privacy", "hash_key_file")} <= said:
        yield (
            ("privacy", "hash_key_file"),
            "privacy.hash_key_file",
            "goes not with truncate_inside: an address is either cut or hashed",
        )
    for index, sink in enumerate(config.sinks):
        if config.privacy.no_destination and sink.fields:
            for at, field in enumerate(sink.fields):
                if field in ("orig_dst", "orig_dport", "reply_src", "reply_sport"):
                    yield (
                        ("sink", index, "fields", at),
                        "sink.fields",
                        f"'{field}' is the destination, which privacy.no_destination leaves out",
                    )


def retention(kept: RetentionConfig) -> Iterator[tuple[Path, str, str]]:
    """Gaps prove that the rest is complete: they may not go first."""
    gaps = kept.gaps.age_seconds
    if gaps is None:
        return
    for name in RETAINED:
        limit = getattr(kept, name)
        age = limit.age_seconds
        if name == "flows" and age is None:
            yield ("retention", "gaps"), "retention.gaps", "must not be shorter than flows, which are kept for ever"
        elif age is not None and age > gaps:
            yield (
                ("retention", "gaps"),
                "retention.gaps",
                f"must not be shorter than {name}: nothing would prove the rest complete",
            )

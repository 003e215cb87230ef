"""What the logger is told, however it was said: one frozen value that a file and a command line both become.

`docs/log-config.md` says what each setting means, `keys.py` how it is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

__all__ = [
    "BUFFER_BYTES",
    "SPOOL_BYTES",
    "SYNC_MS",
    "Bindings",
    "Limit",
    "LogConfig",
    "PrivacyConfig",
    "RetentionConfig",
    "Settings",
    "SinkConfig",
    "SourceConfig",
    "SourceKind",
]

Bindings: TypeAlias = Literal["none", "nat", "all"]
Settings: TypeAlias = Literal["check", "fix", "ignore"]
SourceKind: TypeAlias = Literal["kernel", "files", "interface", "collect"]

BUFFER_BYTES: Final = 128 << 20
SPOOL_BYTES: Final = 1 << 30
SYNC_MS: Final = 200


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Where connections come from. At most one of `files`, `interface` and `collect` is set; none means the kernel.

    Attributes:
        files: recordings and captures of packets, in order.
        interface: whose packets go through the engine; "any" is all.
        engine: options of the engine as on the command line (`--helper`, `ftp`), for files and interfaces.
        collect: addresses at which other exporters' records come in (`ipfix://0.0.0.0:4739`).
    """

    files: tuple[str, ...] = ()
    interface: str | None = None
    engine: tuple[str, ...] = ()
    collect: tuple[str, ...] = ()

    @property
    def kind(self) -> SourceKind:
        """Which of them it is."""
        if self.files:
            return "files"
        if self.interface is not None:
            return "interface"
        return "collect" if self.collect else "kernel"


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """Where records go.

    Attributes:
        target: without its options: `parquet:/var/lib/conntap`, `ipfix://collector:4739`.
        filter: which records; text, compiled once to check it.
        fields: which fields, by the names of docs/fields.md; None for all that the sink has.
        spool_bytes: how much may wait on disk while the receiver is away.
        options: the sink's own, as text: from the table `options` and from behind the target's `?`.
    """

    target: str
    filter: str = ""
    fields: tuple[str, ...] | None = None
    spool_bytes: int = SPOOL_BYTES
    options: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def scheme(self) -> str:
        """The kind of sink: "parquet"."""
        return self.target.partition(":")[0]


@dataclass(frozen=True, slots=True)
class PrivacyConfig:
    """What is never written down.

    Attributes:
        no_destination: leave out whom the inside hosts talked to.
        truncate_inside: bits that are kept of an inside address (IPv4, IPv6); the rest is zero.
        hash_key_file: inside addresses are replaced by a hash with the key in this file.
    """

    no_destination: bool = False
    truncate_inside: tuple[int, int] | None = None
    hash_key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of one kind of record is kept; None: as much as there is."""

    age_seconds: float | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """How long records are kept, by kind.

    Attributes:
        flows: connections that ended.
        interims: what was told of connections that went on.
        nat: NAT bindings, also those of flows, without destination and counters.
        gaps: what is not known.
        max_bytes: of all together; the oldest go first.
    """

    flows: Limit = Limit()
    interims: Limit = Limit()
    nat: Limit = Limit()
    gaps: Limit = Limit()
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class LogConfig:
    """The logger's settings.

    Attributes:
        source: where connections come from.
        filter: which records are made at all; each sink may choose among them.
        bindings: of which connections a record is made when they begin.
        interim_seconds: how often a connection that goes on is told; None never.
        state: folder of journal and receipts; None: the first ledger's own folder.
        reliable: the kernel delivers again what did not fit.
        buffer_bytes: receive buffer to ask the kernel for.
        netns: network namespace by name, path or pid; None the process's own.
        settings: what happens where the kernel's own settings do not fit.
        sync_ms: the journal is made durable this often; what a power cut can lose.
        sinks: where records go.
        privacy: what is never written down.
        retention: how long records are kept.
    """

    source: SourceConfig = SourceConfig()
    filter: str = ""
    bindings: Bindings = "none"
    interim_seconds: float | None = None
    state: str | None = None
    reliable: bool = True
    buffer_bytes: int = BUFFER_BYTES
    netns: str | None = None
    settings: Settings = "check"
    sync_ms: int = SYNC_MS
    sinks: tuple[SinkConfig, ...] = ()
    privacy: PrivacyConfig = PrivacyConfig()
    retention: RetentionConfig = RetentionConfig()

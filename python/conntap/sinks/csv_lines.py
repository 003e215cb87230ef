"""`csv:FILE`: a table that any program reads (RFC 4180), a record a line."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.sinks.files import LineFile
from conntap.sinks.frames import packing_of
from conntap.sinks.lines import FileSink

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FIELDS", "CsvSink"]

#: What is written unless said otherwise: whatever most records have, and all of a gap.
FIELDS: Final = (
    "seq", "kind", "flow_id", "record_no", "received_ns", "start_ns", "start_from", "stop_ns", "stop_from",
    "stop_after_ns", "end_reason", "l4proto", "protocol", "orig_src", "orig_sport", "orig_dst", "orig_dport",
    "reply_src", "reply_sport", "reply_dst", "reply_dport", "nat", "orig_icmp_type", "orig_icmp_code",
    "orig_icmp_id", "reply_icmp_id", "orig_packets", "orig_bytes", "reply_packets", "reply_bytes",
    "prior_orig_packets", "prior_orig_bytes", "prior_reply_packets", "prior_reply_bytes", "zone", "mark", "id",
    "helper", "status", "tcp_state", "exporter", "domain", "gap_cause", "gap_after_ns", "gap_before_ns", "lost",
    "gap_alive", "gap_ended",
)  # fmt: skip


class CsvSink(FileSink):
    """Writes records as lines of CSV."""

    def __init__(
        self,
        path: str,
        *,
        fields: Sequence[str] | None = None,
        compress: str | None = None,
        rotate_bytes: int = 0,
        rotate_seconds: float = 0,
        keep: int = 0,
        resume: bool = True,
    ) -> None:
        """Prepare to write to *path*; the options are those of `JsonlSink`.

        Args:
            path: file, "-" for standard output. A file with other columns is rotated away first.
            fields: the columns, in this order; None for `FIELDS`.
            compress: "gzip", "zstd" or "none"; None goes by the end of the file's name.
            rotate_bytes: rotate at this size, 0 never.
            rotate_seconds: rotate so often, counted from the epoch; 0 never.
            keep: rotated files that stay, 0 all.
            resume: read from the file's last line which record was the last (needs the column `seq`).

        Raises:
            UsageError: a field or option that there is not.
        """
        columns = list(dict.fromkeys(FIELDS if fields is None else fields))
        formatter = _core.LineFormatter("csv", fields=columns)
        file = LineFile(
            path,
            head=formatter.head(),
            packing=packing_of(path, compress),
            rotate_bytes=rotate_bytes,
            rotate_seconds=rotate_seconds,
            keep=keep,
        )
        place = columns.index("seq") if "seq" in columns and resume else None

        def seq_of(line: bytes) -> int:
            try:
                return int(next(csv.reader([line.decode()]))[place or 0])
            except (ValueError, IndexError, StopIteration, csv.Error):
                return 0

        super().__init__(f"csv:{path}", file, formatter, seq_of=None if place is None else seq_of)

"""`jsonl:FILE`: one JSON object a record, under our names or under ulogd's keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conntap import _core
from conntap.errors import UsageError
from conntap.sinks.files import LineFile
from conntap.sinks.frames import packing_of
from conntap.sinks.lines import FileSink

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["JsonlSink"]


class JsonlSink(FileSink):
    """Writes records as lines of JSON."""

    def __init__(
        self,
        path: str,
        *,
        fields: Sequence[str] | None = None,
        keys: str = "conntap",
        device: str = "Netfilter",
        utc_offset: int | None = None,
        compress: str | None = None,
        rotate_bytes: int = 0,
        rotate_seconds: float = 0,
        keep: int = 0,
        resume: bool = True,
    ) -> None:
        """Prepare to write to *path*.

        Args:
            path: file, "-" for standard output.
            fields: which fields are written, in the order of docs/fields.md; None for all that a record has.
            keys: "conntap" for our names, "ulogd" for the keys of ulogd2's JSON output.
            device: value of ulogd's key `dvc`.
            utc_offset: seconds that ulogd's local `timestamp` is ahead of UTC; None asks the system for each batch.
            compress: "gzip", "zstd" or "none"; None goes by the end of the file's name.
            rotate_bytes: rotate at this size, 0 never.
            rotate_seconds: rotate so often, counted from the epoch; 0 never.
            keep: rotated files that stay, 0 all.
            resume: read from the file's last line which record was the last. Only right where the same ledger goes on.

        Raises:
            UsageError: an option that there is not.
        """
        if keys not in ("conntap", "ulogd"):
            raise UsageError(f"keys={keys}: conntap or ulogd")
        if keys == "ulogd" and fields is not None:
            raise UsageError("fields cannot be chosen with keys=ulogd", hint="leave one of them out")
        chosen = None if fields is None else list(fields)
        formatter = _core.LineFormatter(
            "ulogd" if keys == "ulogd" else "json", fields=chosen, device=device, utc_offset=utc_offset
        )
        file = LineFile(
            path,
            starts=b"{",
            packing=packing_of(path, compress),
            rotate_bytes=rotate_bytes,
            rotate_seconds=rotate_seconds,
            keep=keep,
        )
        has_seq = keys == "conntap" and (chosen is None or "seq" in chosen)
        super().__init__(f"jsonl:{path}", file, formatter, seq_of=_seq_of if has_seq and resume else None)


def _seq_of(line: bytes) -> int:
    try:
        seq = json.loads(line).get("seq", 0)
    except (ValueError, AttributeError):
        return 0
    return seq if type(seq) is int else 0

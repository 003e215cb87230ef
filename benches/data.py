"""Where the benchmarks keep what takes long to make: recordings and ledgers, made once."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benches.process import tool

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["folder", "scratch"]


def folder() -> Path:
    """Return the folder: $CONNTAP_BENCH_DATA, else beside what cargo builds."""
    chosen = os.environ.get("CONNTAP_BENCH_DATA")
    path = Path(chosen) if chosen else Path(tool()).parent.parent / "bench-data"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder on the same disk that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="scratch-", dir=folder()))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)

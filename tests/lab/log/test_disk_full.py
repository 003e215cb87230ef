"""The disk of the journal is full, then there is room again."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from lab.log.faults import Books, Load, Truth, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.log.faults import Gateway

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("also", ["the journal", "the records too"])
def test_disk_full_then_free_again(gateway: Gateway, tmp_path: Path, small_disk: Path, also: str) -> None:
    """The logger says so and waits; the kernel holds the events, and nothing is lost."""
    file = (tmp_path if also == "the journal" else small_disk) / "records.jsonl"
    logger = gateway.log("udp", "--to", f"jsonl:{file}", "--state", str(small_disk)).ready()
    truth = Truth(gateway)
    load = Load(gateway, 2000)
    wait_until(lambda: file.stat().st_size > 0, "records come")
    filler = small_disk / "filler"
    room = os.statvfs(small_disk)
    with open(filler, "wb") as full:
        full.write(bytes(room.f_bavail * room.f_bsize - MIB // 4))
    logger.wait_for("the journal cannot be written (No space left on device)")
    before = load.sent
    wait_until(lambda: load.sent > before + 2000, "traffic goes on")
    filler.unlink()
    made = load.stop()
    lives = truth.lives()
    said = logger.stop()

    books = Books.of(file)
    books.check_numbers()
    assert books.check_lives(lives) == (made, 0, 0), said
    assert "nothing lost" in said

"""The power is cut at any moment: what the disk had then is whole, and who is not recorded lived in a gap."""

from __future__ import annotations

import fcntl
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from lab.log.faults import COMMAND, through

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.log.faults import Gateway

#: EXT4_IOC_SHUTDOWN: from now on nothing reaches the disk, the file system's own log included (fs/ext4/ioctl.c).
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
MIB = 1 << 20


class Disk:
    """A file system of its own in a file, whose power can be cut; use with `with`."""

    def __init__(self, image: Path, place: Path) -> None:
        self.image, self.place = image, place
        with image.open("wb") as file:
            file.truncate(128 * MIB)
        place.mkdir()
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)], check=True)

    def __enter__(self) -> Self:
        done = subprocess.run(["mount", "-o", "loop", self.image, self.place], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"the kernel has no loop device here: {done.stderr.strip()}")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", self.place], check=True)

    def cut(self) -> None:
        """Whatever has not been written stays unwritten."""
        place = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(place, SHUTDOWN, struct.pack("=I", NO_LOG_FLUSH))
        finally:
            os.close(place)

    def comes_back(self) -> None:
        """The power is there again: the file system's log is replayed."""
        self.__exit__()
        self.__enter__()


@pytest.fixture
def disk(tmp_path: Path, need: Callable[[str], str]) -> Iterator[Disk]:
    need("mkfs.ext4")
    if Path("/proc/self/uid_map").read_text().split()[:2] != ["0", "0"]:
        pytest.skip("needs root: a disk whose power is cut")
    with Disk(tmp_path / "image", tmp_path / "disk") as made:
        yield made


@pytest.mark.slow
def test_power_cuts_at_random_moments(gateway: Gateway, disk: Disk) -> None:
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    moments = [round(dice.uniform(0.3, 1.5), 3) for _ in range(12)]
    print(f"seed {seed}, seconds from ready to cut: {moments}")
    file, ledger, state = (disk.place / name for name in ("records.jsonl", "ledger", "state"))
    words = ("udp", "--to", f"jsonl:{file}", "--to", f"parquet:{ledger}", "--state", str(state))

    def cuts_at_moments() -> None:
        for moment in moments:
            logger = gateway.log(*words).ready()
            time.sleep(moment)  # waits: the moment of the cut is the case
            disk.cut()
            logger.kill()
            disk.comes_back()

    books, _ = through(cuts_at_moments, gateway, words, file, per_second=2000, seed=seed)
    assert len(books.gaps_of("restart")) >= len(moments)
    verified = subprocess.run(
        [sys.executable, "-c", COMMAND, "ledger", "verify", str(ledger)], capture_output=True, text=True
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr

"""`give_back`: a large block that is freed goes back to the system, whatever was freed before."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

#: A block that is freed raises glibc's limit; the next one lies in the heap then, held there by a small one behind it.
PROGRAM = """
import sys
from conntap.memory import give_back

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4 >> 10

if sys.argv[1] == "give back":
    give_back()
block = bytearray(b"x") * (30 << 20)
del block
before = resident()
blocks = [bytearray(b"x") * (2 << 20) for _ in range(12)]
small = [bytearray(b"x") * 5000 for _ in range(500)]
del blocks
print(resident() - before)
"""


def grown(how: str) -> int:
    """MiB that stay."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone keeps them")
def test_freed_blocks_go_back():
    assert grown("as it is") >= 20
    assert grown("give back") <= 8

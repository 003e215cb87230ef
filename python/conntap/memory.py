"""What a long run has freed goes back to the system, so that its memory stays flat."""

from __future__ import annotations

from typing import Final

__all__ = ["give_back"]

#: mallopt(3): from which size a block is mapped by itself, and how much may stay free at the heap's end.
M_MMAP_THRESHOLD: Final = -3
M_TRIM_THRESHOLD: Final = -1
LARGE: Final = 1 << 20
FREE: Final = 8 << 20


def give_back() -> None:
    """Tell glibc to map large blocks by themselves for good; other C libraries are left as they are.

    It does so from 128 KiB on, but raises that limit to the size of each such block that is freed, up to 32 MiB
    (mallopt(3)). A segment's columns then come from the heap, between small blocks that live longer, and leave holes.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, FREE)

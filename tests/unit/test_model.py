"""Status bits are those of the core, and bits of a newer kernel are kept."""

from __future__ import annotations

from conntap import Status


def test_bits_of_a_newer_kernel_are_kept():
    assert int(Status(1 << 20 | Status.ASSURED)) == 1 << 20 | 4


def test_values_are_the_kernels():
    assert [Status.EXPECTED, Status.SEEN_REPLY, Status.ASSURED, Status.CONFIRMED] == [1, 2, 4, 8]
    assert [Status.DYING, Status.HELPER, Status.OFFLOAD, Status.HW_OFFLOAD] == [0x200, 0x2000, 0x4000, 0x8000]

"""Closed and open sets of numbers that flows carry.

`Status` holds the kernel's IPS_* bits (nf_conntrack_common.h); bits of a newer kernel are kept.
"""

from __future__ import annotations

from enum import IntFlag

__all__ = ["Status"]


class Status(IntFlag):
    """Status bits of a flow."""

    EXPECTED = 1 << 0
    SEEN_REPLY = 1 << 1
    ASSURED = 1 << 2
    CONFIRMED = 1 << 3
    SRC_NAT = 1 << 4
    DST_NAT = 1 << 5
    SEQ_ADJUST = 1 << 6
    SRC_NAT_DONE = 1 << 7
    DST_NAT_DONE = 1 << 8
    DYING = 1 << 9
    FIXED_TIMEOUT = 1 << 10
    TEMPLATE = 1 << 11
    NAT_CLASH = 1 << 12
    HELPER = 1 << 13
    OFFLOAD = 1 << 14
    HW_OFFLOAD = 1 << 15

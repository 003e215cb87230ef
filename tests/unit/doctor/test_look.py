"""All that is said, in the order of the groups."""

from __future__ import annotations

from conntap.doctor.look import look
from conntap.doctor.model import GROUPS, Unseen
from conntap.doctor.reading import Reading


def test_groups_come_in_their_order_and_what_was_not_seen_is_kept() -> None:
    seen = Reading(
        settings={
            "netfilter/nf_conntrack_count": "1",
            "netfilter/nf_conntrack_max": "10",
            "netfilter/nf_conntrack_x": "1",
        },
        netlink="sk\n",
        unseen=(Unseen("counters", "no right"),),
    )
    report = look(seen)
    order = [list(GROUPS).index(entry.group) for entry in report.entries]
    assert order == sorted(order)
    assert report.unseen == seen.unseen
    assert {"table", "listeners", "modules", "unknown"} <= {entry.group for entry in report.entries}

"""A filter selects the same rows of a capture whether the engine applies it or it is applied afterwards.

Needs no kernel: random filters over the sample captures, which have every protocol, helpers, expectations and NAT.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conntap
from conntap.helpers.assign import well_known_assignments
from conntap.nat import snat
from conntap.tracker import COUNTED
from property.filters import EVENT_LEAVES, LEAVES, expressions

DIRECTORY = Path(__file__).parent.parent / "data/pcap"
SAMPLES = (
    "nat_ftp_active", "sip_invite", "h323_q931", "icmp_corner", "icmp6_corner", "sctp", "gre_generic", "tftp",
    "tcp_misc",
)  # fmt: skip

#: Words that divide these rows.
OURS = [
    "expectation", "flow", "helper ftp", "helper sip", "helper tftp", "snat", "master", "related", "assured", "ip6",
    "host 10.0.1.2", "src 10.0.2.0/24", "dport 21", "port 5060", "tcp", "udp", "sctp", "icmp", "gre", "timeout > 100",
    "state established", "state syn_sent", "packets > 1", "orig_bytes > 200", "start_ns > 0", "class 1",
]  # fmt: skip


@cache
def capture_of(name: str) -> conntap.Capture:
    setup = conntap.Setup(
        settings=COUNTED.settings, helpers=well_known_assignments(), nat=(snat("src 10.0.1.0/24 to 10.0.2.1"),)
    )
    capture = conntap.replay(DIRECTORY / f"{name}.pcap", setup=setup, drain=True)
    assert isinstance(capture, conntap.Capture)
    return capture


@cache
def rows_of(name: str) -> list[conntap.Event]:
    """Every event, unfiltered."""
    return list(capture_of(name).events())


TEXTS = expressions([*OURS, *OURS, *LEAVES, *EVENT_LEAVES, "new", "update", "destroy", "exp_new", "exp_destroy"])


@given(name=st.sampled_from(SAMPLES), text=TEXTS)
def test_the_engine_gives_the_rows_that_match(name: str, text: str) -> None:
    where = conntap.Filter(text)
    every = rows_of(name)
    wanted = [event.message() for event in every if where.matches(event)]
    capture = capture_of(name)
    assert [event.message() for event in capture.events(where)] == wanted, where.explain()
    assert capture.counters["rows"] == len(wanted)
    assert capture.counters["filtered_here"] == len(every) - len(wanted)


@given(name=st.sampled_from(SAMPLES), text=TEXTS)
def test_a_batch_filtered_afterwards_has_them_too(name: str, text: str) -> None:
    where = conntap.Filter(text)
    whole = conntap.Batch.of([(event.message(), event.received_ns) for event in rows_of(name)])
    taken = [row for batch in capture_of(name).batches(where) for row in batch.messages()]
    assert whole.filter(where).messages() == taken, where.explain()


@pytest.mark.parametrize("text", OURS)
def test_the_samples_have_what_the_filters_ask_for(text: str) -> None:
    """The properties say nothing where no row is met."""
    where = conntap.Filter(text)
    matched = [where.matches(event) for name in SAMPLES for event in rows_of(name)]
    assert any(matched)
    assert not all(matched)

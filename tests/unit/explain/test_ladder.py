"""The layout of the diagram."""

from __future__ import annotations

import itertools

from conntap.explain.fold import Fold
from conntap.explain.ladder import label_of, ladder, remarks
from explained import ftp_story, step, story, told


def test_a_childs_lane_begins_with_its_first_packet_and_ends_with_its_last():
    drawn = ladder(told("ftp_passive", "", "ftp")[0])
    root, one, two = drawn.lanes
    numbers = [row.item.number if not isinstance(row.item, Fold) else None for row in drawn.rows]
    assert (root.first, root.last) == (0, len(drawn.rows) - 1)
    assert (numbers[one.since], numbers[one.first], numbers[one.last]) == (12, 14, 22)
    assert (root.depth, one.depth, two.depth) == (0, 1, 1), "one after the other they share a place"


def test_children_that_wait_at_the_same_time_stand_beside_each_other():
    assert [lane.depth for lane in ladder(told("sip_invite", "", "sip")[0]).lanes] == [0, 1, 2]


def test_a_childs_ends_are_named_by_their_ports_where_the_hosts_are_the_masters():
    drawn = ladder(ftp_story())
    assert (drawn.left, drawn.gateway, drawn.right) == ("10.0.0.5:47000", "gateway 203.0.113.1", "198.51.100.9:21")
    assert (drawn.lanes[1].left, drawn.lanes[1].right) == (":37931", ":46221")


def test_arrows_go_the_way_the_packets_go_on_the_wire():
    rows = {row.item.number: row for row in ladder(ftp_story()).rows if not isinstance(row.item, Fold)}
    assert [rows[number].to_right for number in (1, 2, 12, 13)] == [True, False, False, True]


def test_what_is_invalid_is_crossed_and_what_is_dropped_stops():
    rows = {row.item.number: row for row in ladder(ftp_story()).rows if not isinstance(row.item, Fold)}
    assert (rows[25].crossed, rows[25].stops) == (True, False)
    passive = ladder(told("ftp_passive", "", "ftp")[0]).rows
    (dropped,) = (row for row in passive if not isinstance(row.item, Fold) and row.item.number == 46)
    assert (dropped.crossed, dropped.stops) == (True, True)


def test_bands_follow_the_states_without_a_gap():
    bands = ladder(told("tcp_reopen")[0]).lanes[0].bands
    assert [band.state for band in bands][:3] == ["SYN_SENT", "SYN_RECV", "ESTABLISHED"]
    assert all(one.last == two.first for one, two in itertools.pairwise(bands))


def test_plain_acknowledgements_have_no_row_unless_all_are_asked_for():
    usual, whole = ladder(ftp_story()), ladder(ftp_story(), whole=True)
    assert (len(usual.rows), usual.undrawn) == (26, 4)
    assert (len(whole.rows), whole.undrawn) == (30, 0)
    assert usual.omissions() == ["4 packets that only acknowledge are not drawn"]


def test_rows_that_are_too_many_are_counted():
    drawn = ladder(ftp_story(), most=10)
    assert (len(drawn.rows), drawn.cut) == (10, 16)
    assert drawn.omissions()[0] == "16 more rows are not drawn"


def test_a_label_has_the_size_and_of_what_is_invalid_the_number_at_fault():
    assert label_of(step(short="220 ready", more=("11 B", "seq 1", "ack 1"))).fit(80) == "220 ready  11 B"
    assert label_of(step(short="RST", more=("seq -5", "win 3"), verdict="INVALID")).fit(80) == "RST  seq -5"


def test_remarks_begin_with_the_verdict_and_the_new_state():
    assert remarks(step(verdict="NEW", before=None, state="SYN_SENT", reason="first_packet"), several=False)[0] == (
        "NEW  SYN_SENT", "NEW",
    )  # fmt: skip
    assert remarks(step(), several=False) == []
    ends = step(packet=None, verdict="", reason="time", short="the entry runs out", why="nothing more came", state=None)
    assert remarks(ends, several=True) == [("A: the entry runs out: nothing more came", "dim")]


def test_a_story_of_ordinary_packets_alone_can_be_drawn():
    assert ladder(story(step(1), step(2))).rows == ()

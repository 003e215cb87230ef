"""A real flow, told with what belongs to it."""

from __future__ import annotations

from conntap.explain.live_flow import tell_flow
from live_stories import FTP_RULES, flow, live


def test_each_question_is_answered() -> None:
    told = tell_flow(flow(), live(FTP_RULES, flows=[flow()], tcp_timeout_established=432_000))
    said = dict(told.lines)
    assert told.head == "tcp 192.0.2.1:40001 → 203.0.113.5:80"
    assert "nf_conntrack_tcp_timeout_established is 5 d" in said["state"]
    assert said["NAT"].startswith("the source 192.0.2.1:40001 is shown as 198.51.100.100:40000; the destination")
    assert said["helper"] == "none reads it"
    assert said["ends by"].startswith("a RST, or FIN")
    assert "master" not in said


def test_data_for_programs() -> None:
    data = tell_flow(flow(), live(flows=[flow()])).data
    assert data["setting"] == "nf_conntrack_tcp_timeout_established"
    assert (data["children"], data["expectations"], data["assigned_by"]) == ([], [], None)
    assert data["flow"]["orig_src"] == "192.0.2.1"

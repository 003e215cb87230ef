"""A connection's steps: state, numbers, windows, translation."""

from __future__ import annotations

from explained import ftp_story, told


def steps_of(name: str, where: str = "", *helpers: str):
    return {step.number: step for step in told(name, where, *helpers)[0].steps}


def test_states_follow_each_other_without_a_break():
    for name in ("tcp_invalid", "tcp_reopen", "sctp", "udp_stream", "ftp_passive"):
        for story in told(name, "", "ftp"):
            now: dict[str, str | None] = {}
            for step in story.steps:
                assert step.before == now.get(step.connection), (name, step.number)
                now[step.connection] = step.state


def test_protocols_without_states_are_told_by_what_was_seen():
    states = [step.state for step in told("udp_stream")[0].steps]
    assert states[:2] == ["UNREPLIED", "REPLIED"]
    assert "ASSURED" in states


def test_a_reset_before_any_answer_leaves_no_entry():
    last = steps_of("tcp_syn_rst")[2]
    assert (last.before, last.state) == ("SYN_SENT", None)


def test_numbers_are_relative_and_windows_scaled_behind_the_handshake():
    steps = steps_of("tcp_invalid")
    assert (steps[3].seq, steps[3].ack, steps[3].window) == (0, 1, 64_000)
    assert (steps[4].seq, steps[4].ack, steps[4].window) == (1, 1, 8_192_000)
    assert steps[11].seq == 20_000_001
    assert steps[14].seq == -1_000


def test_windows_are_said_when_the_handshake_sets_them_and_when_they_decide():
    said = {number for number, step in steps_of("tcp_invalid").items() if step.windows_said}
    assert said == {4, 11, 12, 13, 14}
    assert steps_of("tcp_invalid")[4].windows_said.startswith("client sent up to 1, may send to 64,001")


def test_a_packet_that_the_helper_drops_keeps_the_state():
    dropped = steps_of("ftp_passive", "", "ftp")[46]
    assert dropped.dropped
    assert (dropped.before, dropped.state) == ("ESTABLISHED", "ESTABLISHED")


def test_a_translated_packet_says_how_it_leaves_but_an_invalid_one_does_not():
    steps = {step.number: step for step in ftp_story().steps}
    assert str(steps[1].sent) == "203.0.113.1:47000 → 198.51.100.9:21"
    assert str(steps[2].sent) == "198.51.100.9:21 → 10.0.0.5:47000"
    assert steps[25].invalid
    assert steps[25].sent is None


def test_the_first_packet_of_a_child_says_where_it_goes():
    assert steps_of("ftp_passive", "", "ftp")[14].short == "SYN to :51210"


def test_an_icmp_error_says_who_sends_it_where_that_is_neither_end():
    steps = steps_of("icmp_corner", "udp")
    assert (steps[2].short, steps[2].more) == ("port unreachable", ())
    assert (steps[3].short, steps[3].more) == ("time exceeded", ("from 10.0.2.9",))
    assert steps[3].direction == "reply"

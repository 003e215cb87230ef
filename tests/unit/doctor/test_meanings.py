"""The kernel's words about INVALID packets, as Linux 6.18 wrote them (tests/lab/doctor), and older ones."""

from __future__ import annotations

import pytest

from conntap.doctor.meanings import MEANINGS, UNKNOWN, meaning, without_numbers, words_of

# Words → what they are. Those of 6.18 are copied from its log.
SEEN = {
    "nf_ct_proto_6: invalid tcp flag combination ": "tcp_flags",
    "nf_ct_proto_6: invalid new ": "tcp_new",
    "nf_ct_proto_6: truncated packet ": "truncated",
    "nf_ct_proto_6: SEQ is over upper bound 2483241166 (over the window of the receiver) ": "tcp_seq_over",
    "nf_ct_proto_6: SEQ is under lower bound 2483110092 (already ACKed data retransmitted) ": "tcp_seq_under",
    "nf_ct_proto_6: ACK is over upper bound 1418424151 (ACKed data not seen yet) ": "tcp_ack_over",
    "nf_ct_proto_6: ignored ACK under lower bound 1418424151 (possible overly delayed) ": "tcp_ack_under",
    "nf_ct_proto_6: 12 bytes more than expected ": "tcp_overshot",
    "nf_ct_proto_6: invalid rst ": "tcp_rst",
    "nf_ct_proto_6: packet (index 0) in dir 0 ignored, state ESTABLISHED ": "tcp_ignored",
    "nf_ct_proto_6: packet (index 1) in dir 0 invalid, state ESTABLISHED ": "tcp_state",
    "nf_ct_proto_6: packet (index 4, dir 1) response for index 2 lower timeout to 300 ": "tcp_timeout_lowered",
    "nf_ct_proto_6: bad checksum ": "checksum",
    "nf_ct_proto_17: short packet ": "short",
    "nf_ct_proto_17: truncated/malformed packet ": "truncated",
    "nf_ct_proto_1: invalid icmp type ": "icmp_type",
    "nf_ct_proto_1: bad hw icmp checksum ": "checksum",
    "nf_ct_proto_1: outer daddr 10.0.0.5 != inner 203.0.113.1 ": "icmp_elsewhere",
    "nf_ct_proto_136: checksum missing ": "udplite_none",
    "nf_ct_proto_136: invalid checksum coverage ": "udplite_coverage",
    "nf_ct_proto_6: invalid packet ignored in state CLOSE ": "tcp_ignored",
    "nf_ct_tcp: SEQ is over the upper bound (over the window of the receiver) ": "tcp_seq_over",
    "nf_ct_tcp: invalid TCP flag combination ": "tcp_flags",
    "nf_ct_udp: bad UDP checksum ": "checksum",
}


@pytest.mark.parametrize(("line", "kind"), SEEN.items())
def test_each_line_has_its_meaning(line: str, kind: str) -> None:
    words = words_of(line)
    assert words is not None
    assert meaning(words).id == kind


def test_a_rules_line_is_no_line_about_an_invalid_packet() -> None:
    assert words_of("dropped: ") is None
    assert words_of("nf_ct_proto_: x") is None


def test_next_years_words_are_told_as_they_are() -> None:
    assert meaning("quantum entanglement lost") is UNKNOWN


def test_what_is_let_pass_is_not_called_invalid() -> None:
    assert {known.id for known in MEANINGS if known.passes} == {
        "tcp_seq_under", "tcp_ack_under", "tcp_overshot", "tcp_ignored",
    }  # fmt: skip


def test_equal_lines_are_equal_without_their_numbers() -> None:
    one, other = (without_numbers(f"SEQ is over upper bound {bound} (over)") for bound in (123_456, 987_654_321))
    assert one == other == "SEQ is over upper bound N (over)"
    assert without_numbers("packet (index 0) in dir 1 ignored") == "packet (index 0) in dir 1 ignored"


def test_every_meaning_says_what_made_it_and_what_to_do() -> None:
    assert all(known.says and known.check and known.todo for known in MEANINGS)
    assert len({known.id for known in MEANINGS}) == len(MEANINGS)

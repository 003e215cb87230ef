"""What counts as equal, and what as a difference: runs of the kernel, changed on purpose."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from conntap.lab import LabError
from conntap.lab.parity import recorded
from conntap.lab.parity.compare import Difference, first_difference
from conntap.lab.parity.hop import give_back, make_passable
from conntap.lab.parity.normalise import comparable_packet, normalise, same
from conntap.lab.parity.report import Report
from conntap.lab.parity.run import Run, Step
from conntap.lab.parity.subject import LEFT, Answer, Packet
from conntap.lab.parity.summary import one_line
from conntap.netlink import ATTRIBUTES_AT, TYPE, attributes, messages, pack
from pcap_samples import SAMPLES

STATUS, MARK, TIMEOUT, ID = 3, 8, 7, 12
EXP_TIMEOUT = 4


def run_of(name: str) -> Run:
    return recorded.loads(SAMPLES[name].recorded)


def rebuilt(message: bytes, change: Callable[[list[tuple[int, bytes]]], object]) -> bytes:
    """The message with its list of attributes changed."""
    parts = list(attributes(message, ATTRIBUTES_AT))
    change(parts)
    body = b"".join(pack(kind, payload) for kind, payload in parts)
    return struct.pack("=I", ATTRIBUTES_AT + len(body)) + message[4:ATTRIBUTES_AT] + body


def with_value(message: bytes, number: int, value: int | None) -> bytes:
    """The message with a 32-bit attribute set to *value*, or without it."""

    def change(parts: list[tuple[int, bytes]]) -> None:
        at = next(i for i, (kind, _) in enumerate(parts) if kind & TYPE == number)
        parts[at : at + 1] = [] if value is None else [(parts[at][0], struct.pack(">I", value))]

    return rebuilt(message, change)


def value_of(message: bytes, number: int) -> int:
    return next(int.from_bytes(p, "big") for kind, p in attributes(message, ATTRIBUTES_AT) if kind & TYPE == number)


def change_answer(run: Run, step: int, **fields: object) -> None:
    old = run.steps[step]
    run.steps[step] = Step(old.packet, old.sent_ns, replace(old.answer, **fields))


def change_message(run: Run, step: int, at: int, message: bytes) -> None:
    changed = list(run.steps[step].answer.messages)
    changed[at] = message
    change_answer(run, step, messages=changed)


def where(difference: Difference | None) -> tuple[str, int] | None:
    return None if difference is None else (difference.what, difference.step)


@pytest.fixture
def pair() -> tuple[Run, Run]:
    """tcp_basic twice: NEW at packet 1, UPDATE at 2, 3, 8, 9, 10 and 11 (index one less), DESTROY by the flush."""
    return run_of("tcp_basic"), run_of("tcp_basic")


# ---------------------------------------------------------------- equal


@pytest.mark.parametrize("name", SAMPLES)
def test_a_run_equals_itself(name):
    assert first_difference(run_of(name), run_of(name)) is None


def test_a_recorded_run_comes_back_equal():
    run = run_of("fragments")
    change_answer(run, 1, table=[b"row"])
    change_answer(run, 2, forwarded=None)
    assert recorded.loads(recorded.dumps(run)) == run


@pytest.mark.parametrize("text", ["", "[]\n[]\n", "{}\n{}\n", '{"format":"other"}\n{}\n', "not json\n\n"])
def test_what_is_no_recorded_run_is_refused(text):
    with pytest.raises(LabError, match="not a recorded run"):
        recorded.loads(text)


def test_the_port_id_is_nothing_to_compare(pair):
    one, two = pair
    message = two.steps[0].answer.messages[0]
    change_message(two, 0, 0, message[:12] + struct.pack("=I", 4711) + message[16:])
    assert first_difference(one, two) is None


def test_another_id_is_equal_as_long_as_the_entry_keeps_it(pair):
    one, two = pair
    for index, step in enumerate(two.steps):
        change_answer(two, index, messages=[with_value(message, ID, 99) for message in step.answer.messages])
    two.flushed = [with_value(message, ID, 99) for message in two.flushed]
    assert first_difference(one, two) is None


def test_an_id_that_changes_in_the_life_of_an_entry_is_a_difference(pair):
    one, two = pair
    change_message(two, 7, 0, with_value(two.steps[7].answer.messages[0], ID, 99))
    assert where(first_difference(one, two)) == ("identity", 7)


@pytest.mark.parametrize(("by", "differs"), [(-2, True), (-1, False), (1, False), (2, True)])
def test_timeouts_may_differ_by_a_second(pair, by, differs):
    one, two = pair
    message = two.steps[7].answer.messages[0]
    change_message(two, 7, 0, with_value(message, TIMEOUT, value_of(message, TIMEOUT) + by))
    assert where(first_difference(one, two)) == (("events", 7) if differs else None)


def test_a_destroy_without_time_left_equals_one_with_a_second_left():
    message = run_of("tcp_basic").flushed[0]
    last, none = with_value(message, TIMEOUT, 1), with_value(message, TIMEOUT, None)
    assert same(normalise(last), normalise(none))
    assert not same(normalise(with_value(message, TIMEOUT, 2)), normalise(none))


def test_an_update_must_have_a_timeout():
    message = run_of("tcp_basic").steps[1].answer.messages[0]
    assert not same(normalise(with_value(message, TIMEOUT, 0)), normalise(with_value(message, TIMEOUT, None)))


def test_values_of_timestamps_are_nothing_to_compare_but_their_presence_is():
    one, two = run_of("acct_tstamp"), run_of("acct_tstamp")
    start_and_stop, event = 20, 27

    def later(parts: list[tuple[int, bytes]]) -> None:
        for at, (kind, payload) in enumerate(parts):
            if kind & TYPE == event:
                parts[at] = (kind, bytes(8))
            elif kind & TYPE == start_and_stop:
                parts[at] = (kind, b"".join(pack(inner, bytes(8)) for inner, _ in attributes(payload)))

    two.flushed = [rebuilt(message, later) for message in two.flushed]
    assert two.flushed != one.flushed
    assert first_difference(one, two) is None

    def without(parts: list[tuple[int, bytes]]) -> None:
        parts[:] = [part for part in parts if part[0] & TYPE != start_and_stop]

    two.flushed = [rebuilt(message, without) for message in two.flushed]
    assert where(first_difference(one, two)) == ("flow", len(one.steps) + 1)


def test_the_order_of_a_flush_is_that_of_a_hash_table():
    one, two = run_of("icmp_corner"), run_of("icmp_corner")
    assert len(two.flushed) > 1
    two.flushed.reverse()
    assert first_difference(one, two) is None


def test_a_flow_that_ran_out_may_be_reported_later():
    one, two = run_of("udp_expire_lookup"), run_of("udp_expire_lookup")
    # The kernel found it at the second packet, one that looks at the clock finds it a packet earlier.
    destroy, *rest = two.steps[1].answer.messages
    assert normalise(destroy).kind == "DESTROY"
    change_answer(two, 0, messages=[*two.steps[0].answer.messages, destroy])
    change_answer(two, 1, messages=rest)
    assert first_difference(one, two) is None


def test_expectations_that_go_with_a_flow_that_ran_out_may_be_reported_later_with_any_time_left():
    one, two = run_of("ftp_active"), run_of("ftp_active")
    announced = next(i for i, s in enumerate(one.steps) if any(m[5] == 2 for m in s.answer.messages))
    master = one.steps[0].answer.messages[0]
    destroy = struct.pack("=IH", len(master), 0x102) + struct.pack("=H", 0) + master[8:]
    gone = with_value(destroy, TIMEOUT, None)
    orphan = next(m for s in one.steps for m in s.answer.messages if normalise(m).kind == "EXP_DESTROY")

    def until(run: Run, end: int, left: int) -> Run:
        """The run up to the announcement, and at *end* the master has run out."""
        steps = [replace(step) for step in run.steps[: announced + 4]]
        cut = Run(steps, run.settled_ns)
        change_answer(cut, end, messages=[*steps[end].answer.messages, gone, with_value(orphan, EXP_TIMEOUT, left)])
        return cut

    early, late = until(one, announced + 1, 300), until(two, announced + 3, 280)
    assert first_difference(early, late) is None


def test_the_identification_of_ipv6_fragments_is_nothing_to_compare():
    one, two = run_of("fragments"), run_of("fragments")
    pieces = two.steps[7].answer.forwarded
    assert len(pieces) == 3
    change_answer(two, 7, forwarded=[piece[:44] + b"\1\2\3\4" + piece[48:] for piece in pieces])
    assert first_difference(one, two) is None
    change_answer(two, 7, forwarded=[piece[:48] + b"\1\2\3\4" + piece[52:] for piece in pieces])
    assert where(first_difference(one, two)) == ("forwarded", 7)


@pytest.mark.parametrize("ip", [b"", b"\x60", b"\x60" + bytes(5) + b"\x2c" + bytes(33), b"\x60" + bytes(50), bytes(64)])
def test_packets_that_are_not_whole_are_compared_as_they_are(ip):
    assert comparable_packet(ip) == ip


# ---------------------------------------------------------------- different


def test_one_bit_of_the_status_is_a_difference_at_its_packet(pair):
    one, two = pair
    message = two.steps[2].answer.messages[0]
    change_message(two, 2, 0, with_value(message, STATUS, value_of(message, STATUS) ^ 4))
    assert where(first_difference(one, two)) == ("events", 2)


def test_an_attribute_that_nobody_knows_is_compared(pair):
    one, two = pair
    for run, value in ((one, b"\1\0\0\0"), (two, b"\2\0\0\0")):
        change_message(
            run, 2, 0, rebuilt(run.steps[2].answer.messages[0], lambda parts, v=value: parts.append((99, v)))
        )
    assert where(first_difference(one, two)) == ("events", 2)
    assert first_difference(two, two) is None


def test_the_order_of_attributes_is_compared(pair):
    one, two = pair
    change_message(two, 2, 0, rebuilt(two.steps[2].answer.messages[0], lambda parts: parts.insert(0, parts.pop())))
    difference = first_difference(one, two)
    assert where(difference) == ("events", 2)
    assert "order of attributes" in report(one, two).text()


def test_a_missing_message_and_one_too_many_are_differences(pair):
    one, two = pair
    change_answer(two, 7, messages=[])
    assert where(first_difference(one, two)) == ("events", 7)
    assert where(first_difference(two, one)) == ("events", 7)


def test_the_order_of_messages_of_one_packet_is_compared():
    one, two = run_of("tcp_reopen"), run_of("tcp_reopen")
    step = next(i for i, step in enumerate(one.steps) if len(step.answer.messages) == 2)
    change_answer(two, step, messages=two.steps[step].answer.messages[::-1])
    assert where(first_difference(one, two)) == ("events", step)


def test_a_flow_that_never_ends_is_a_difference_at_the_end(pair):
    one, two = pair
    two.flushed = []
    assert where(first_difference(one, two)) == ("flow", len(one.steps) + 1)


def test_the_earliest_difference_is_the_one_reported(pair):
    one, two = pair
    change_answer(two, 9, messages=[])
    ended = with_value(two.flushed[0], TIMEOUT, None)  # an end that is tied to no packet, and wrong
    change_answer(two, 3, messages=[ended])
    assert where(first_difference(one, two)) == ("flow", 3)


def test_a_byte_of_a_forwarded_packet_is_a_difference(pair):
    one, two = pair
    (packet,) = two.steps[4].answer.forwarded
    change_answer(two, 4, forwarded=[packet[:30] + b"\xff" + packet[31:]])
    assert where(first_difference(one, two)) == ("forwarded", 4)
    assert "differs in byte 30: " in report(one, two).text()
    change_answer(two, 4, forwarded=[])
    assert where(first_difference(one, two)) == ("forwarded", 4)


def test_forwarded_packets_are_compared_where_both_are_known(pair):
    one, two = pair
    change_answer(two, 4, forwarded=None)
    assert first_difference(one, two) is None


def test_states_are_compared_where_both_are_known(pair):
    one, two = pair
    change_answer(two, 4, verdict="")
    assert first_difference(one, two) is None
    change_answer(two, 4, verdict="invalid")
    assert where(first_difference(one, two)) == ("verdict", 4)


def test_tables_are_compared_where_both_are_known_whatever_their_order(pair):
    one, two = pair
    rows = [one.steps[0].answer.messages[0], run_of("udp_stream").steps[0].answer.messages[0]]
    change_answer(one, 5, table=rows)
    assert first_difference(one, two) is None
    change_answer(two, 5, table=[with_value(row, ID, 5) for row in rows[::-1]])
    assert first_difference(one, two) is None
    change_answer(two, 5, table=[with_value(rows[0], TIMEOUT, 7), rows[1]])
    assert where(first_difference(one, two)) == ("table", 5)
    change_answer(two, 5, table=rows[:1])
    assert where(first_difference(one, two)) == ("table", 5)
    # A dump leaves out what has run out since the packet.
    change_answer(one, 5, table=[rows[0], with_value(rows[1], TIMEOUT, 1)])
    assert first_difference(one, two) is None


def test_runs_of_different_length_are_different(pair):
    one, two = pair
    two.steps.pop()
    assert where(first_difference(one, two)) == ("length", len(two.steps))


@pytest.mark.parametrize("cut", range(0, 148, 7))
def test_a_message_that_is_cut_short_is_a_difference_and_no_error(pair, cut):
    one, two = pair
    change_message(two, 0, 0, two.steps[0].answer.messages[0][:cut])
    assert where(first_difference(one, two)) == ("events", 0)
    assert report(one, two).text()


def test_a_datagram_is_cut_into_its_messages():
    one, two = run_of("tcp_basic").flushed[0], run_of("irc_dcc").steps[-1].answer
    assert messages(one + one) == [one, one]
    assert messages(one + one[:30]) == [one]
    assert messages(b"\0" * 40) == []
    assert isinstance(two, Answer)


# ---------------------------------------------------------------- told to a person


def report(one: Run, two: Run) -> Report:
    return Report(len(one.steps), one.messages, first_difference(one, two), (one, two))


def test_a_report_names_the_packet_what_both_said_and_the_attribute(pair):
    one, two = pair
    message = two.steps[2].answer.messages[0]
    change_message(two, 2, 0, with_value(message, STATUS, 0x108))
    text = report(one, two).text()
    lines = text.splitlines()
    assert lines[0].startswith("different events at packet 3 (+0.2")
    assert (
        lines[1] == "  left → right  10.0.1.2:40000 > 10.0.2.2:80  TCP ACK seq 1001 ack 5001 win 64000, 0 bytes of data"
    )
    assert lines[2] == "  kernel:"
    assert "[UPDATE] tcp      6 432000 ESTABLISHED src=10.0.1.2" in lines[3]
    assert "[ASSURED]" in lines[3]
    assert lines[4] == "  engine:"
    assert "[ASSURED]" not in lines[5]
    assert lines[6] == "  differs in CTA_STATUS: 0000000e ≠ 00000108"
    assert lines[7] == "compared: 11 packets, 8 events, 11 forwarded"


def test_a_report_shows_the_whole_history_of_a_flow_and_marks_where_it_parts(pair):
    one, two = pair
    two.flushed = []
    text = report(one, two).text()
    assert text.startswith("one flow has a different history at the final flush\n")
    assert text.count("[NEW]") == 2
    assert "  >    [DESTROY]" in text or "  > [DESTROY]" in text


def test_a_report_of_equal_runs_says_what_was_left_out(pair):
    one, two = pair
    equal = replace(report(one, two), skipped={"to a multicast group": 3})
    assert equal.text() == "equal: 11 packets, 8 events, 11 forwarded; left out: 3 to a multicast group\n"


@pytest.mark.parametrize("name", SAMPLES)
def test_every_packet_has_a_line(name):
    for step in run_of(name).steps:
        line = one_line(step.packet)
        assert " > " in line
        assert "\n" not in line


@pytest.mark.parametrize("size", range(0, 48, 3))
@pytest.mark.parametrize("name", ["tcp_basic", "ftp6"])
def test_a_packet_that_is_cut_short_has_a_line_too(name, size):
    packet = run_of(name).steps[0].packet
    assert one_line(Packet(1, 0, LEFT, packet.ip[:size]))


# ---------------------------------------------------------------- the hop


@pytest.mark.parametrize("name", ["tcp_basic", "ftp6"])
@pytest.mark.parametrize("ttl", [0, 1, 2, 64, 255])
def test_a_hop_that_was_taken_is_given_back_exactly(name, ttl):
    ip = run_of(name).steps[0].packet.ip
    original = give_back(ip, ttl)
    passable = make_passable(original)
    assert (passable is original) == (ttl >= 2)
    taken = give_back(passable, passable[7 if name == "ftp6" else 8] - 1)
    assert give_back(taken, None if ttl >= 2 else ttl) == original


def test_a_wrong_header_checksum_stays_wrong():
    ip = run_of("tcp_basic").steps[0].packet.ip
    wrong = give_back(ip[:10] + b"\x12\x34" + ip[12:], 1)
    words = struct.unpack(">10H", make_passable(wrong)[:20])
    assert sum(words) % 0xFFFF != 0

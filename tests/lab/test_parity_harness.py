"""The harness on the real kernel: any packet goes through the gateway, and the same packets cause the same events.

Here the kernel is compared with itself and with the transcripts in tests/data/pcap, which another program wrote.
"""

from __future__ import annotations

import dataclasses
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import pytest

import pcap_transcript
from conntap.lab import LabError, NetfilterError
from conntap.lab.parity import capture, recorded
from conntap.lab.parity.compare import first_difference
from conntap.lab.parity.gateway import Gateway
from conntap.lab.parity.harness import compare_capture, run_kernel
from conntap.lab.parity.inject import KernelSubject
from conntap.lab.parity.normalise import normalise
from conntap.lab.parity.report import Report
from conntap.lab.parity.rules import USUAL_HELPERS
from conntap.lab.parity.run import AS_CAPTURED, AT_ONCE, Pacing, Run, drive
from conntap.lab.parity.subject import LEFT, RIGHT, Answer, Packet
from pcap_samples import DIRECTORY, SAMPLES, Sample

# The expectation of `exp_timeout` lives for two seconds.
LONGEST_LINGER_S = 2.6

every_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))


def packets_of(sample: Sample) -> list[Packet]:
    found = capture.read(sample.path, left={ip_address(address).packed for address in sample.left})
    assert not found.skipped
    return found.packets


def duration_s(run: Run) -> float:
    return (run.steps[-1].packet.time_ns - run.steps[0].packet.time_ns) / 1e9


@pytest.fixture(scope="module")
def two_runs(session_lab) -> dict[str, tuple[Run, Run]]:
    """Every sample twice, each time through a gateway of its own, several at once."""

    def run(sample: Sample) -> Run:
        options = sample.options()
        options = dataclasses.replace(options, linger_s=min(options.linger_s, LONGEST_LINGER_S))
        return run_kernel(packets_of(sample), options)

    # Those that wait come first, so that the others run meanwhile.
    samples = sorted(SAMPLES.values(), key=lambda sample: not sample.timed)
    with ThreadPoolExecutor(8) as workers:
        results = list(workers.map(run, [sample for sample in samples for _ in range(2)]))
    return {sample.name: (results[2 * i], results[2 * i + 1]) for i, sample in enumerate(samples)}


@pytest.fixture(scope="module")
def kernel(session_lab):
    """One gateway without helpers, for tests that put single packets in."""
    with Gateway() as gateway, KernelSubject(gateway) as subject:
        yield subject


@pytest.fixture
def clean(kernel) -> KernelSubject:
    kernel.flush(0)
    return kernel


# ---------------------------------------------------------------- samples


@every_sample
def test_a_sample_run_twice_gives_equal_results(sample, two_runs):
    one, two = two_runs[sample.name]
    difference = first_difference(one, two)
    assert difference is None, Report(len(one.steps), one.messages, difference, (one, two)).text()


@every_sample
def test_a_sample_gives_the_events_of_its_transcript(sample, two_runs):
    run, _ = two_runs[sample.name]
    # A run without waiting leaves more time to what is ended early, up to the time that the transcript took.
    assert_agrees(run, sample, slack_s=duration_s(run) + sample.linger_s)


@every_sample
def test_a_recorded_run_says_what_the_transcript_says(sample):
    assert_agrees(recorded.loads(sample.recorded), sample, slack_s=0)


@every_sample
def test_a_recorded_run_has_the_packets_of_its_capture(sample):
    assert [step.packet for step in recorded.loads(sample.recorded).steps] == packets_of(sample)


def test_every_file_of_the_samples_belongs_to_one():
    files = {path.name for path in DIRECTORY.iterdir()} - {"README.md", "samples.toml"}
    wanted = {sample.path.name for sample in SAMPLES.values()}
    for sample in SAMPLES.values():
        wanted |= {f"{sample.name}.events.txt", f"{sample.name}.kernel.jsonl"}
        wanted |= {f"{sample.name}.nft"} if sample.nft else set()
    assert files == wanted


def assert_agrees(run: Run, sample: Sample, *, slack_s: float) -> None:
    """Every packet has the transcript's events, state and number of packets out; ids and lateness aside."""
    transcript = pcap_transcript.read(sample.transcript)
    writer = pcap_transcript.Writer()
    assert len(run.steps) == len(transcript.packets)
    late: list[str] = []
    for index, (step, section) in enumerate(zip(run.steps, transcript.packets, strict=True)):
        where = f"packet {index + 1}"
        lines = [writer.line(message) for message in step.answer.messages]
        # What ran out by time stands in a transcript under the packet before, here under the packet after.
        late += [line for line in section.lines if "timeout=0" in line]
        assert_lines(lines, [line for line in section.lines if "timeout=0" not in line], slack_s, where)
        assert (step.answer.verdict or "-") == section.ctstate, where
        if step.packet.ip[7 if step.packet.ip[0] >> 4 == 6 else 8] > 1:  # the transcript's gateway did not help others
            assert len(step.answer.forwarded) == section.forwarded, where
    assert_lines([writer.line(message) for message in run.settled], late, slack_s, "after the last packet")
    flushed = [writer.line(message) for message in run.flushed]
    assert_lines(sorted(flushed, key=comparable), sorted(transcript.flush, key=comparable), slack_s + 1, "flush")


def assert_lines(ours: list[str], theirs: list[str], slack_s: float, where: str) -> None:
    assert [comparable(line) for line in ours] == [comparable(line) for line in theirs], where
    for mine, other in zip(ours, theirs, strict=True):
        allowed = 1 + (slack_s if "DESTROY" in mine else 0)
        assert abs(timeout(mine) - timeout(other)) <= allowed, f"{where}: {mine}\n{other}"


def comparable(line: str) -> str:
    return re.sub(r" (timeout|id)=#?\d+", "", line).rstrip()


def timeout(line: str) -> int:
    found = re.search(r"timeout=(\d+)", line)
    return int(found[1]) if found else 0


# ---------------------------------------------------------------- gateway


def udp(
    source: str, target: str, *, ttl: int = 64, payload: bytes = b"hello", checksum: int = 0, port: int = 9
) -> bytes:
    datagram = struct.pack(">HHHH", 4000, port, 8 + len(payload), checksum) + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), 1, 0, ttl, 17, 0)
    head += ip_address(source).packed + ip_address(target).packed
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack(">H", ~total & 0xFFFF) + head[12:] + datagram


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("192.0.2.1", "198.51.100.1"),
        ("169.254.200.1", "169.254.200.2"),  # the gateway's own
        ("127.0.0.1", "127.0.0.2"),
        ("10.0.0.1", "10.0.0.255"),
        ("250.1.2.3", "255.255.255.254"),
    ],
)
@pytest.mark.parametrize("side", [LEFT, RIGHT], ids=["left", "right"])
def test_a_packet_is_forwarded_whatever_its_addresses_and_leaves_as_it_came(clean, source, target, side):
    packet = udp(source, target)
    answer = clean.packet(0, side, packet)
    assert answer.forwarded == [packet]
    assert [normalise(message).kind for message in answer.messages] == ["NEW"]


@pytest.mark.parametrize("ttl", [0, 1, 2, 255])
def test_no_ttl_keeps_a_packet_from_being_forwarded(clean, ttl):
    packet = udp("192.0.2.1", "198.51.100.1", ttl=ttl)
    assert clean.packet(0, LEFT, packet).forwarded == [packet]


def test_each_packets_state_is_told(clean):
    there, back = udp("192.0.2.1", "198.51.100.1"), udp("198.51.100.1", "192.0.2.1")
    back = back[:20] + back[22:24] + back[20:22] + back[24:]
    bad = udp("192.0.2.1", "198.51.100.1", checksum=1)
    verdicts = [clean.packet(0, side, ip).verdict for side, ip in ((LEFT, there), (RIGHT, back), (LEFT, bad))]
    assert verdicts == ["new", "established", "invalid"]


def test_a_packet_that_the_ip_layer_refuses_causes_nothing(clean):
    packet = udp("192.0.2.1", "198.51.100.1")
    assert clean.packet(0, LEFT, packet[:10] + b"\0\0" + packet[12:]) == Answer()


def test_the_largest_packet_goes_through(clean):
    packet = udp("192.0.2.1", "198.51.100.1", payload=bytes(65535 - 28))
    assert clean.packet(0, LEFT, packet).forwarded == [packet]


def test_a_flush_reports_the_end_of_every_entry_once(clean):
    for port in range(1, 1001):
        clean.packet(0, LEFT, udp("192.0.2.1", "198.51.100.1", port=port))
    ended = [normalise(message) for message in clean.flush(0)]
    assert {message.kind for message in ended} == {"DESTROY"}
    assert len(ended) == len({message.key for message in ended}) == 1000
    assert clean.flush(0) == []


def test_gateways_see_nothing_of_each_other(clean):
    with Gateway() as gateway, KernelSubject(gateway) as other:
        other.packet(0, LEFT, udp("192.0.2.1", "198.51.100.1"))
        assert clean.settle(0) == []
        answer = clean.packet(0, LEFT, udp("192.0.2.1", "198.51.100.1"))
        assert len(answer.messages) == len(answer.forwarded) == 1


def test_tables_show_the_entries_after_each_packet(session_lab):
    with Gateway(helpers=USUAL_HELPERS) as gateway, KernelSubject(gateway, tables=True) as subject:
        rrq = udp("192.0.2.1", "198.51.100.1", port=69, payload=b"\0\1file\0octet\0")
        table = subject.packet(0, LEFT, rrq).table
    assert table is not None
    assert [normalise(row, row=True).kind for row in table] == ["ROW", "EXP_ROW"]


def test_a_setting_that_the_kernel_does_not_know_is_named(session_lab):
    with (
        pytest.raises(NetfilterError, match="nf_conntrack_no_such"),
        Gateway(sysctls={"netfilter/nf_conntrack_no_such": 1}),
    ):
        pass


def test_rules_that_are_wrong_are_refused_with_the_words_of_nft(session_lab):
    with pytest.raises(NetfilterError, match="syntax error"), Gateway(nft="no rules\n"):
        pass


# ---------------------------------------------------------------- runs


class Clockless:
    """Answers nothing and remembers when it was asked."""

    def __init__(self) -> None:
        self.times: list[int] = []

    def packet(self, now_ns: int, side: int, ip: bytes) -> Answer:
        self.times.append(now_ns)
        return Answer()

    def settle(self, now_ns: int) -> list[bytes]:
        return []

    def flush(self, now_ns: int) -> list[bytes]:
        return []


@pytest.mark.parametrize(
    ("pacing", "gap_s", "least_s"),
    [
        (AS_CAPTURED, 0.05, 0.05),
        (AT_ONCE, 3600, 0),
        (Pacing(longest_s=0.01), 3600, 0.01),
        (Pacing(scale=1e-5), 3600, 0.036),
    ],
)
def test_gaps_are_kept_or_squeezed_as_asked(pacing, gap_s, least_s):
    subject = Clockless()
    drive(subject, [Packet(1, 10**18, LEFT, b""), Packet(2, 10**18 + int(gap_s * 1e9), LEFT, b"")], pacing=pacing)
    first, second = subject.times
    assert least_s <= (second - first) / 1e9 < 60


def test_the_other_subject_is_given_the_times_at_which_the_kernel_got_the_packets(session_lab):
    subject = Clockless()
    report = compare_capture(SAMPLES["icmp_echo"].path, subject, SAMPLES["icmp_echo"].options())
    kernel, _ = report.runs
    assert subject.times == [step.sent_ns for step in kernel.steps]
    assert not report.equal


class Tampering:
    """The kernel of another gateway, but for one bit of one answer."""

    def __init__(self, subject: KernelSubject, at: int) -> None:
        self._subject, self._at, self._seen = subject, at, 0

    def packet(self, now_ns: int, side: int, ip: bytes) -> Answer:
        answer = self._subject.packet(now_ns, side, ip)
        self._seen += 1
        if self._seen != self._at:
            return answer
        last = answer.messages[-1]
        return dataclasses.replace(answer, messages=[*answer.messages[:-1], last[:-1] + bytes((last[-1] ^ 0x80,))])

    def settle(self, now_ns: int) -> list[bytes]:
        return self._subject.settle(now_ns)

    def flush(self, now_ns: int) -> list[bytes]:
        return self._subject.flush(now_ns)


def test_a_capture_through_two_kernels_is_equal_and_a_changed_message_is_reported_with_its_packet(session_lab):
    sample = SAMPLES["ftp_active"]
    options = sample.options()
    with Gateway(helpers=options.helpers) as gateway, KernelSubject(gateway) as other:
        equal = compare_capture(sample.path, other, options)
        changed = compare_capture(sample.path, Tampering(other, 3), options)
    assert equal.equal, equal.text()
    assert equal.text() == f"equal: {equal.packets} packets, {equal.messages} events, {equal.packets} forwarded\n"
    assert not changed.equal
    assert changed.difference is not None
    assert (changed.difference.what, changed.difference.step) == ("events", 2)
    assert "at packet 3 " in changed.text()


def test_lost_events_end_the_run_instead_of_passing_for_a_difference(session_lab, monkeypatch):
    monkeypatch.setattr("conntap.lab.parity.inject.BUFFER_BYTES", 4096)
    with Gateway() as gateway, KernelSubject(gateway) as subject:
        monkeypatch.setattr(KernelSubject, "_receive_events", lambda _: ([], ""))  # a reader that is too late
        for port in range(1, 200):
            subject.packet(0, LEFT, udp("192.0.2.1", "198.51.100.1", port=port))
        monkeypatch.undo()
        with pytest.raises(LabError, match="lost events"):
            subject.settle(0)

"""The file of packets that the gateway sends: what it drops is missing, what it translates is translated."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP
from scapy.utils import rdpcap

import conntap
from conntap.errors import UsageError
from conntap.helpers.assign import assign
from conntap.nat import snat
from conntap.sent import SentPackets


@pytest.fixture
def capture(data) -> conntap.Capture:
    """FTP through a gateway that translates."""
    setup = conntap.Setup(helpers=assign("ftp"), nat=(snat("src 10.0.1.0/24 to 10.0.2.1"),))
    return conntap.replay(data / "pcap/nat_ftp_active.pcap", setup=setup)


def send(capture: conntap.Capture, sent: SentPackets) -> list[conntap.Batch]:
    with sent:
        return list(capture.batches(sent=sent))


@pytest.mark.parametrize("name", ["out.pcap", "out.pcapng", "out"])
def test_what_is_written_is_what_the_engine_sends(name, capture, data, tmp_path):
    sent = SentPackets(tmp_path / name)
    send(capture, sent)
    found = rdpcap(str(tmp_path / name))
    assert len(found) == sent.count > 0
    came = rdpcap(str(data / "pcap/nat_ftp_active.pcap"))
    assert [packet.time for packet in found] == [packet.time for packet in came]
    assert {packet[IP].src for packet in found if packet[IP].dst == "10.0.2.2"} == {"10.0.2.1"}
    assert b"PORT 10,0,2,1,195,80\r\n" in [bytes(packet[IP].payload.payload) for packet in found]


def test_the_name_decides_the_format(tmp_path):
    SentPackets(tmp_path / "out.pcap").close()
    SentPackets(tmp_path / "out.pcapng").close()
    assert (tmp_path / "out.pcap").read_bytes()[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
    assert (tmp_path / "out.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"


def test_what_was_written_reads_back_as_a_capture(capture, tmp_path):
    send(capture, SentPackets(tmp_path / "out.pcapng"))
    outside = conntap.replay(tmp_path / "out.pcapng")
    assert isinstance(outside, conntap.Capture)
    assert next(iter(outside)).flow.original.src.exploded == "10.0.2.1"


def test_writing_packets_changes_no_event(capture, tmp_path):
    written = send(capture, SentPackets(tmp_path / "out.pcapng"))
    assert [batch.messages() for batch in written] == [batch.messages() for batch in capture.batches()]


def test_a_datagram_that_came_in_pieces_is_written_in_pieces(data, tmp_path):
    came = [bytes(packet.payload) for packet in rdpcap(str(data / "pcap/fragments.pcap"))]
    sent = SentPackets(tmp_path / "out.pcap")
    send(conntap.replay(data / "pcap/fragments.pcap"), sent)
    found = [bytes(packet) for packet in rdpcap(str(tmp_path / "out.pcap"))]
    assert found == came[:3] + came[5:], "without the two pieces whose datagram lacks one"


def test_what_was_handed_on_can_be_read_before_close(capture, tmp_path):
    sent = SentPackets(tmp_path / "out.pcap")
    for _ in capture.batches(sent=sent):
        assert len(rdpcap(str(tmp_path / "out.pcap"))) == sent.count
    sent.close()


def test_closing_twice_is_allowed(tmp_path):
    sent = SentPackets(tmp_path / "out.pcapng")
    sent.close()
    size = (tmp_path / "out.pcapng").stat().st_size
    sent.close()
    assert (tmp_path / "out.pcapng").stat().st_size == size


def test_an_existing_file_is_kept_unless_told(tmp_path):
    (tmp_path / "out.pcap").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"out\.pcap exists"):
        SentPackets(tmp_path / "out.pcap")
    assert (tmp_path / "out.pcap").read_bytes() == b"mine"
    SentPackets(tmp_path / "out.pcap", overwrite=True).close()
    assert (tmp_path / "out.pcap").read_bytes() != b"mine"

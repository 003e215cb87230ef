"""Recordings open in Wireshark: tshark reads the sample recording and dissects it to the fields that the kernel sent.

Expected values are read here from the sample messages themselves, by hand, not by the code under test.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data"
RECORDING = DATA / "recordings" / "samples.pcapng"
NLMSG_OVERRUN = 4
COOKED_LEN = 16

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs the program tshark")


def tshark(*arguments: str) -> str:
    return subprocess.run(
        ["tshark", "-r", str(RECORDING), *arguments], check=True, capture_output=True, text=True, timeout=120
    ).stdout


def fields(*names: str, where: str = "") -> list[list[str]]:
    """One row a packet; values that occur several times are joined by commas."""
    options = [option for name in names for option in ("-e", name)]
    text = tshark("-T", "fields", "-E", "separator=/t", *(["-Y", where] if where else []), *options)
    return [line.split("\t") for line in text.splitlines()]


def samples() -> list[bytes]:
    return [path.read_bytes() for path in sorted((DATA / "ctnetlink").glob("ev_*.bin"))]


def attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while data:
        length, kind = struct.unpack_from("=HH", data)
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def test_every_message_is_dissected_with_the_header_the_kernel_sent() -> None:
    rows = fields("netlink.family", "frame.len", "netlink.hdr_len", "netlink.hdr_type", "netlink.hdr_flags",
                  "netlink.hdr_seq", "netlink.hdr_pid")  # fmt: skip
    found = sorted(tuple(int(value, 0) for value in row) for row in rows)
    heads = [(len(message), *struct.unpack_from("=IHHII", message)) for message in samples()]
    gap = (40, 40, NLMSG_OVERRUN, 0, 0, 0)
    assert found == sorted((12, head[0] + COOKED_LEN, *head[1:]) for head in [*heads, gap])


def test_conntrack_attributes_are_dissected_to_the_addresses_and_ports_the_kernel_sent() -> None:
    found = fields("netlink-netfilter.nfct_tuple.ip.ip_addr", "netlink-netfilter.nfct_tuple.proto.src_port",
                   where="netlink.hdr_type == 0x100 && netlink-netfilter.family == 2")  # fmt: skip
    expected: list[list[str]] = []
    for message in samples():
        kind, family = struct.unpack_from("=H", message, 4)[0], message[16]
        if (kind, family) != (0x100, 2):
            continue
        top = attributes(message[20:])
        tuples = [attributes(top[number]) for number in (1, 2, 14) if number in top]  # original, reply, master
        addresses = [".".join(map(str, attributes(one[1])[number])) for one in tuples for number in (1, 2)]
        protocols = [attributes(one[2]) for one in tuples]
        ports = [str(int.from_bytes(protocol[2])) for protocol in protocols if 2 in protocol]
        expected.append([",".join(addresses), ",".join(ports)])
    assert len(expected) > 25
    assert sorted(found) == sorted(expected)


def test_nothing_is_malformed_and_times_do_not_run_backwards() -> None:
    assert fields("frame.number", where="_ws.malformed || _ws.expert.severity == error") == []
    times = [int(row[0].replace(".", "")) for row in fields("frame.time_epoch")]
    assert times == sorted(times)
    assert any(time % 1000 for time in times), "nanoseconds"


def test_the_gap_stands_in_its_place_and_the_packet_behind_it_says_the_count() -> None:
    rows = fields("frame.number", "netlink.hdr_type", "frame.drop_count")
    gap = next(index for index, row in enumerate(rows) if int(row[1], 0) == NLMSG_OVERRUN)
    assert gap == len(samples()) // 2
    assert [row[2] for row in rows[gap : gap + 3]] == ["", "1024", ""]


def test_the_file_says_what_it_is() -> None:
    if shutil.which("capinfos") is None:
        pytest.skip("needs the program capinfos")
    text = subprocess.run(["capinfos", str(RECORDING)], check=True, capture_output=True, text=True, timeout=60).stdout
    said = {line.split("=" if "=" in line else ":", 1)[0].strip(): line for line in text.splitlines()}
    assert "Linux Netlink" in said["File encapsulation"]
    assert "nanoseconds (9)" in said["File timestamp precision"]
    assert "conntap" in said["Capture application"]
    assert "nfnetlink" in said["Name"]

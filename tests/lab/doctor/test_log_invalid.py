"""`conntap doctor --log-invalid` on the real kernel: packets that are really INVALID, explained, and all put back."""

from __future__ import annotations

import re
import signal
import socket
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from conntap.lab import CLIENT, SERVER
from golden.cli.running import COMMAND, call
from lab.doctor.packets import ACK, FIN, PSH, RST, SYN, ip, send, tcp

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.lab import Host, Lab
    from lab.doctor.conftest import Logging

HTTP = 80


def by_id(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {kind["id"]: kind for kind in found["kinds"]}


def ports(kind: dict[str, Any]) -> set[tuple[int, int]]:
    return {(one["sport"], one["dport"]) for one in kind["connections"]}


def test_impossible_flags_and_answers_without_a_question(host: Host, begin: Callable[..., Logging]) -> None:
    log = begin("tcp")
    host.call(
        send,
        tcp(SYN | FIN, sport=40_001, dport=HTTP),
        tcp(SYN | ACK, sport=40_002, dport=HTTP),
        tcp(RST, sport=40_003, dport=HTTP),
        tcp(SYN, sport=40_004, dport=HTTP, doff=4),
    )
    found = by_id(log.stop())
    assert ports(found["tcp_flags"]) == {(40_001, HTTP)}
    assert {(40_002, HTTP), (40_003, HTTP)} <= ports(found["tcp_new"])
    assert ports(found["truncated"]) == {(40_004, HTTP)}
    assert {one["flags"] for one in found["tcp_flags"]["connections"]} == {"FS"}
    assert found["tcp_flags"]["check"].endswith("tcp_error")


def test_packets_out_of_the_window(host: Host, begin: Callable[..., Logging]) -> None:
    """An open connection, and somebody who knows its ports but not its numbers."""

    def inject() -> tuple[int, int]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            dport = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", dport)) as client:
                sport = client.getsockname()[1]
                peer, _ = server.accept()
                with peer:
                    client.sendall(b"x" * 100)
                    peer.recv(100)
                    # A quarter of all numbers apart: some are above the window, some below, of data and of ACKs.
                    quarters = [quarter << 30 for quarter in range(4)]
                    for seq in quarters:
                        for ack in quarters:
                            send(tcp(PSH | ACK, sport=sport, dport=dport, seq=seq, ack=ack, data=b"evil"))
                        send(
                            tcp(RST, sport=sport, dport=dport, seq=seq),
                            tcp(SYN, sport=sport, dport=dport, seq=seq),
                            tcp(SYN | ACK, sport=sport, dport=dport, seq=seq, ack=seq),
                        )
        return sport, dport

    log = begin("tcp")
    whose = host.call(inject)
    found = by_id(log.stop())
    assert {"tcp_seq_over", "tcp_seq_under", "tcp_ack_over", "tcp_rst", "tcp_ignored", "tcp_state"} <= set(found)
    assert "unknown" not in found, found
    assert all(whose in ports(found[kind]) for kind in ("tcp_seq_over", "tcp_rst", "tcp_ignored", "tcp_state"))
    assert found["tcp_ignored"]["invalid"] is False
    assert "be_liberal" in found["tcp_seq_over"]["todo"]
    assert "N" in found["tcp_seq_over"]["words"]  # equal but for the numbers: one line
    assert found["tcp_seq_over"]["count"] > 1


def test_a_bad_checksum_is_seen_where_the_packet_comes_in(lab: Lab, begin: Callable[..., Logging]) -> None:
    """On a wire between two namespaces: what a host sends to itself the kernel does not verify."""
    src, dst = socket.inet_aton(CLIENT), socket.inet_aton(SERVER)
    log = begin("tcp", where=lab.gateway)
    lab.client.call(send, tcp(SYN, sport=40_005, dport=HTTP, bad=True, src=src, dst=dst))
    found = by_id(log.stop())
    assert ports(found["checksum"]) == {(40_005, HTTP)}
    assert found["checksum"]["sent_here"] == 0
    assert found["checksum"]["connections"][0]["src"] == CLIENT


def test_other_protocols(host: Host, begin: Callable[..., Logging]) -> None:
    log = begin("all")
    host.call(
        send,
        ip(17, b"\x12\x34\x00\x35"),
        ip(17, struct.pack(">HHHH", 1, 2, 99, 0)),
        ip(1, b"\x08\x00"),
        ip(1, struct.pack(">BBHI", 77, 0, 0xB2FF, 0)),
        ip(132, b"\0\1\0\2" + bytes(12)),
    )
    found = log.stop()
    kinds = {(kind["protocol"], kind["id"]) for kind in found["kinds"]}
    assert {("udp", "short"), ("udp", "truncated"), ("icmp", "short"), ("icmp", "icmp_type")} <= kinds
    assert all(kind["id"] != "unknown" for kind in found["kinds"]), found
    assert found["lost"] == found["malformed"] == found["unreadable"] == 0


def test_ipv6(host: Host, begin: Callable[..., Logging]) -> None:
    """The other logger, and addresses of the other family."""

    def inject() -> None:
        src = socket.inet_pton(socket.AF_INET6, "::1")
        segment = struct.pack(">HHIIBBHHH", 40_006, HTTP, 1, 2, 0x50, SYN | FIN, 1000, 0, 0)
        head = struct.pack(">IHBB", 0x6000_0000, len(segment), 6, 64)
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(head + src + src + segment, ("::1", 0))

    log = begin("tcp")
    host.call(inject)
    [connection] = by_id(log.stop())["tcp_flags"]["connections"]
    assert (connection["src"], connection["dport"], connection["flags"]) == ("::1", HTTP, "FS")


def test_lines_of_rules_are_told_apart(host: Host, begin: Callable[..., Logging]) -> None:
    """A rule that logs to group 0 comes to the same one."""
    log = begin("tcp")
    host.run(["nft", "add rule inet t c log prefix mine group 0"])
    host.call(send, ip(17, struct.pack(">HHHH", 5, 6, 8, 0)))
    found = log.stop()
    assert (found["lines"], found["lines_of_rules"] > 0) == (0, True)


def test_the_kernels_counter_stands_beside(host: Host, begin: Callable[..., Logging]) -> None:
    """Every packet comes to both hooks of the loopback; each is one line and one count."""
    log = begin("tcp")
    host.call(send, *(tcp(RST, sport=sport, dport=HTTP) for sport in range(1, 501)), ip(17, b"\x12\x34\x00\x35"))
    found = log.stop()
    assert (found["lines"], found["lost"]) == (1_000, 0)
    assert found["invalid_counted"] == 1_002


def test_only_the_protocol_asked_for(host: Host, begin: Callable[..., Logging]) -> None:
    log = begin("udp")
    host.call(send, tcp(SYN | FIN, sport=1, dport=2), ip(17, b"\x12\x34\x00\x35"))
    assert {kind["protocol"] for kind in log.stop()["kinds"]} == {"udp"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_puts_all_back(begin: Callable[..., Logging], settings: Callable[[], dict[str, str]], number) -> None:
    before = settings()
    log = begin("tcp")
    assert settings() == {"nf_conntrack_log_invalid": "6", "nf_log/2": "nfnetlink_log", "nf_log/10": "nfnetlink_log"}
    log.stop(number)
    assert settings() == before


def test_the_end_of_the_time_puts_all_back(host: Host, settings: Callable[[], dict[str, str]]) -> None:
    before = settings()
    done = call("doctor", "--log-invalid", "tcp", "100ms", "--netns", str(host.pid))
    assert (done.returncode, settings()) == (0, before)
    assert re.match(r"0 lines in 0\.\d s · the kernel counted 0 INVALID packets of any protocol · the log is off again",
                    done.stdout)  # fmt: skip


def test_what_a_killed_one_leaves_is_told_and_put_back(
    host: Host, begin: Callable[..., Logging], settings: Callable[[], dict[str, str]]
) -> None:
    before = settings()
    begin("tcp").kill()
    assert settings() != before

    told = call("doctor", "--netns", str(host.pid), "--only", "logging")
    assert told.returncode == 1
    assert "--restore" in told.stdout

    again = call("doctor", "--log-invalid", "tcp", "1s", "--netns", str(host.pid))
    assert again.returncode == 2
    assert "was killed while it had the log of INVALID packets on" in again.stderr
    assert "nf_conntrack_log_invalid is 6, was 0" in again.stderr

    restored = call("doctor", "--restore", "--netns", str(host.pid))
    assert (restored.returncode, settings()) == (0, before)
    assert "net.netfilter.nf_conntrack_log_invalid is 0 again" in restored.stderr
    assert "nothing to put back" in call("doctor", "--restore", "--netns", str(host.pid)).stderr


def test_two_at_once_are_refused(host: Host, begin: Callable[..., Logging]) -> None:
    begin("tcp")
    second = call("doctor", "--log-invalid", "tcp", "1s", "--netns", str(host.pid))
    assert second.returncode == 2
    assert "is on already, by pid" in second.stderr
    still = call("doctor", "--restore", "--netns", str(host.pid))
    assert still.returncode == 2
    assert "still has the log" in still.stderr


def test_another_program_that_has_the_group_is_told(host: Host, settings: Callable[[], dict[str, str]]) -> None:
    from conntap.doctor.nflog import PacketLog

    before = settings()
    taken = host.call(PacketLog)
    try:
        done = call("doctor", "--log-invalid", "tcp", "1s", "--netns", str(host.pid))
    finally:
        taken.close()
    assert done.returncode == 1
    assert "another program has it" in done.stderr
    assert settings() == before


def test_settings_that_somebody_changed_meanwhile_are_left_alone(
    host: Host, begin: Callable[..., Logging], settings: Callable[[], dict[str, str]]
) -> None:
    log = begin("tcp")
    host.sysctl({"netfilter/nf_conntrack_log_invalid": 17})
    log.kill()
    call("doctor", "--restore", "--netns", str(host.pid))
    assert settings()["nf_conntrack_log_invalid"] == "17"
    assert settings()["nf_log/2"] != "nfnetlink_log"


@pytest.mark.parametrize("ascii", [False, True], ids=["unicode", "ascii"])
def test_text_explains_each_line(host: Host, ascii: bool) -> None:
    with subprocess.Popen(
        [*COMMAND, "doctor", "--log-invalid", "tcp", "60s", "--netns", str(host.pid),
         *(["--ascii"] if ascii else [])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert "logging INVALID" in process.stderr.readline()
        host.call(send, tcp(SYN | FIN, sport=40_001, dport=HTTP))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert "tcp: invalid tcp flag combination" in out
    assert "flags that no TCP sends together" in out
    assert f"tcp 127.0.0.1:40001 {'->' if ascii else '→'} 127.0.0.1:80 [FS]" in out
    assert out.isascii() is ascii
    assert "do:  a scan or an attack" in out

"""The userspace engine, told what each sample's rules tell the kernel: samples.toml and the .nft file beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from conntap.lab.parity.engine import EngineSubject
from conntap.lab.parity.rules import USUAL_HELPERS
from conntap.lab.parity.subject import RIGHT
from conntap.nat import dnat, snat
from pcap_samples import Sample

TCP, UDP = 6, 17
SYN_ACK = 0x12


def engine_for(sample: Sample) -> EngineSubject:
    """An engine that is to do what the gateway of *sample* does."""
    helpers = USUAL_HELPERS if sample.helpers else {}
    return EngineSubject(helpers=helpers, sysctls=sample.sysctls, **(RULES[sample.name] if sample.nft else {}))


@dataclass(frozen=True)
class Header:
    """What the samples' rules look at in an IPv4 packet: ports, the length of a UDP datagram, the flags of TCP."""

    protocol: int
    dport: int
    udp_length: int
    tcp_flags: int

    @classmethod
    def of(cls, ip: bytes) -> Header:
        transport = ip[(ip[0] & 15) * 4 :]
        number = int.from_bytes(transport[4:6], "big") if ip[9] == UDP else 0
        flags = transport[13] if ip[9] == TCP else 0
        return cls(ip[9], int.from_bytes(transport[2:4], "big"), number, flags)


def drop_forward(_engine: Any, call: Any) -> bool:
    """`udp dport 81 drop; tcp flags & (syn|ack) == (syn|ack) drop`."""
    header = Header.of(call.bytes)
    if header.protocol == UDP:
        return header.dport != 81
    return header.tcp_flags & SYN_ACK != SYN_ACK


def mark_zone(engine: Any, call: Any) -> bool:
    """`udp length 14 ct mark set 0x2a; udp length 9 ct mark set 5`; the zone is that of all packets."""
    mark = {14: 0x2A, 9: 5}.get(Header.of(call.bytes).udp_length)
    if mark is not None:
        engine.set_mark(mark)
    return True


def exp_timeout(engine: Any, call: Any) -> bool:
    """`ct expectation e1 { protocol udp; dport 9876; timeout 2ms; size 4 }`, set for `udp dport 777`.

    The kernel takes nft's milliseconds for seconds. Source: nft_ct_expect_obj_eval in net/netfilter/nft_ct.c.
    """
    if Header.of(call.bytes).dport != 777 or len(engine.own_expectations()) >= 4:
        return True
    source, target, *_ = call.reply
    handle, _refused = engine.expect(
        (source, target, UDP, 0, 9876),
        src_mask=b"\xff" * 4,
        sport_mask=0,
        expect_class=0,
        permanent=False,
        inactive=False,
        timeout=2,
        helper=None,
        nat=None,
        removes_inverse=False,
        any_master=False,
    )
    return handle is not None


def ftp_mark_consume(engine: Any, call: Any) -> bool:
    """`tcp dport 21 ct mark set 0x77`."""
    header = Header.of(call.bytes)
    if (header.protocol, header.dport) == (TCP, 21):
        engine.set_mark(0x77)
    return True


RULES: dict[str, dict[str, Any]] = {
    "drop_forward": {"rules": drop_forward},
    "mark_zone": {"rules": mark_zone, "zone": 7},
    "exp_timeout": {"rules": exp_timeout},
    "ftp_mark_consume": {"rules": ftp_mark_consume},
    # oifname "r1" snat to 10.0.2.1
    "nat_ftp_active": {"nat": [replace(snat("to 10.0.2.1"), interface=RIGHT)]},
    # ip daddr 10.0.2.100 udp dport 53 dnat to 10.0.2.2:5353
    "nat_dnat_udp": {"nat": [dnat("dst 10.0.2.100 and udp and dport 53 to 10.0.2.2:5353")]},
}

"""Conversations for the engine, packet by packet, with scapy's checksums."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from scapy.layers.inet import IP, TCP, UDP

if TYPE_CHECKING:
    from conntap import Tracker, Verdict

START_NS = 1_700_000_000_000_000_000
CLIENT, SERVER = "10.0.1.2", "10.0.2.2"


def udp(src: str, sport: int, dst: str, dport: int, payload: bytes = b"x") -> bytes:
    """One datagram."""
    return bytes(IP(src=src, dst=dst) / UDP(sport=sport, dport=dport) / payload)


class Talk:
    """Shows packets of one TCP connection to a tracker, a millisecond apart, with the right numbers.

    Attributes:
        verdicts: what became of each.
    """

    def __init__(self, tracker: Tracker, *, sport: int = 40000, dport: int = 21) -> None:
        self.tracker = tracker
        self.ends = [(CLIENT, sport), (SERVER, dport)]
        self.next = [1000, 5000]
        self.verdicts: list[Verdict] = []
        self._clock = count(START_NS, 1_000_000)

    def say(self, side: int, payload: bytes = b"", flags: str = "PA") -> Verdict:
        """Side 0 is the client."""
        (src, sport), (dst, dport) = self.ends[side], self.ends[1 - side]
        ack = 0 if flags == "S" else self.next[1 - side]
        segment = TCP(sport=sport, dport=dport, flags=flags, seq=self.next[side], ack=ack, window=60000)
        self.next[side] += len(payload) + ("S" in flags) + ("F" in flags)
        verdict = self.tracker.packet(next(self._clock), bytes(IP(src=src, dst=dst) / segment / payload))
        self.verdicts.append(verdict)
        return verdict

    def open(self) -> Talk:
        """The three packets that open it."""
        self.say(0, flags="S")
        self.say(1, flags="SA")
        self.say(0, flags="A")
        return self

    def ftp(self, line: bytes) -> Verdict:
        """Open it and say a line of FTP; a line is one that follows another."""
        self.open().say(0, b"USER anonymous\r\n")
        return self.say(0, line + b"\r\n")

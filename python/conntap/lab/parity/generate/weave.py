"""Several conversations at once: woven by time, each keeping its own order and gaps."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from conntap.lab.parity.generate.talk import Sent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conntap.lab.parity.generate.talk import Conversation

__all__ = ["Weave"]


class Weave:
    """Hands out the packets of many conversations, *width* of them at a time; speaks like one `Conversation`.

    A small width keeps each conversation short in real time: the tracker's clocks (2 s for UDP, 3 s for some states of
    SCTP, 10 s for a closed TCP connection) must not run out between two packets of one.

    Attributes:
        turn: whose packet came last.
    """

    __slots__ = ("_now", "_order", "_waiting", "_yet", "turn")

    def __init__(self, conversations: Iterable[Conversation], width: int = 8) -> None:
        self.turn: Conversation | None = None
        self._yet = iter(conversations)
        self._waiting: list[tuple[int, int, Conversation, Sent]] = []
        self._now = 0
        self._order = 0
        for _ in range(width):
            self._begin()

    def _begin(self) -> None:
        """Let the next conversation that has a packet in it come in."""
        for conversation in self._yet:
            if self._ask(conversation, ()):
                return

    def _ask(self, conversation: Conversation, forwarded: Sequence[bytes]) -> bool:
        sent = conversation.next(forwarded)
        if sent is None:
            return False
        self._order += 1
        heapq.heappush(self._waiting, (self._now + sent.delay_ns, self._order, conversation, sent))
        return True

    def next(self, forwarded: Sequence[bytes] = ()) -> Sent | None:
        """The next packet of any conversation, or None. *forwarded* is what the gateway made of the one before."""
        if self.turn is not None and not self._ask(self.turn, forwarded):
            self._begin()
        if not self._waiting:
            self.turn = None
            return None
        due, _, self.turn, sent = heapq.heappop(self._waiting)
        delay, self._now = due - self._now, due
        return Sent(delay, sent.side, sent.ip)

    def packets(self) -> list[Sent]:
        """All packets that are left, each taken as delivered unchanged."""
        sent: list[Sent] = []
        while (packet := self.next((sent[-1].ip,) if sent else ())) is not None:
            sent.append(packet)
        return sent

"""Conversations for parity tests: seeded, reproducible, good and bad, for the kernel and the engine to agree about.

    for number in range(1000):
        talk = conversation(seed, number)
        for delay_ns, side, ip in talk.packets():
            ...

Behind a translating gateway the far end must answer what it really got, so packets are asked for one by one:
`talk.next(forwarded)`. `Weave` mixes conversations.
"""

from __future__ import annotations

from conntap.lab.parity.generate.kinds import TROUBLES, conversation, kinds
from conntap.lab.parity.generate.nat import ruleset
from conntap.lab.parity.generate.sites import CAPACITY
from conntap.lab.parity.generate.talk import LEFT, RIGHT, Conversation, Sent, run_to_end
from conntap.lab.parity.generate.weave import Weave

__all__ = [
    "CAPACITY",
    "LEFT",
    "RIGHT",
    "TROUBLES",
    "Conversation",
    "Sent",
    "Weave",
    "conversation",
    "kinds",
    "ruleset",
    "run_to_end",
]

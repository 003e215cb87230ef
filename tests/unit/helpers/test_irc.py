"""The IRC helper expects what a client offers by DCC, from anyone."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.errors import UsageError
from conntap.helpers.base import ORIGINAL, REPLY, TCP, Expect, Nat, Policy, Refused
from conntap.helpers.irc import Irc
from unit.helpers.noise import connection, conversations, hold
from unit.helpers.samples import of_helper, of_kernel

MINE = 0x0A000102  # 10.0.1.2
SEEN_AS = 0x0A000201  # 10.0.2.1


def message(offer: str, *, head: str = "PRIVMSG bob :") -> bytes:
    return f"{head}\x01DCC {offer}\x01\r\n".encode()


def ports(text: bytes) -> list[int]:
    return [entry.wanted.dport for entry in hold(Irc, [(ORIGINAL, text)])]


@pytest.mark.parametrize("name", ["irc_dcc", "irc_evict"])
def test_the_samples_are_read_as_the_kernel_reads_them(name):
    assert of_helper(name, Irc) == of_kernel(name, Irc)
    assert any(read.lines for read in of_kernel(name, Irc))


def test_an_offer_lets_anyone_reach_the_client():
    (entry,) = hold(Irc, [(ORIGINAL, message(f"SEND file.txt {MINE} 5001 100"))])
    assert entry.wanted == Expect(dst=ip_address("10.0.1.2"), dport=5001, l4proto=TCP)


@pytest.mark.parametrize("kind", ["SEND", "CHAT", "MOVE", "TSEND", "SCHAT"])
def test_every_kind_of_offer_counts(kind):
    assert ports(message(f"{kind} chat {MINE} 5001")) == [5001]


@pytest.mark.parametrize("text", [" :\x01DCC ", " :\x01DCC SING :\x01DCC DANCE :\x01DCC "])
def test_behind_an_offer_of_no_known_kind_the_next_one_counts(text):
    assert ports(f"PRIVMSG bob{text} :\x01DCC SEND f {MINE} 5001 100\x01\r\n".encode()) == [5001]


def test_behind_an_offer_that_is_forged_or_makes_no_sense_none_counts():
    for first in ("SEND f 1 5001 100", f"SEND f {MINE} 0 100", "SEND f x"):
        assert ports(f"PRIVMSG bob :\x01DCC {first} :\x01DCC SEND f {MINE} 5002 100\x01\r\n".encode()) == []


@pytest.mark.parametrize("head", ["privmsg bob :", "\r\n \r\nPRIVMSG #channel :", "PRIVMSG  :"])
def test_the_message_may_begin_so(head):
    assert ports(message(f"SEND f {MINE} 5001 100", head=head)) == [5001]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(message(f"SEND f {MINE} 5001 100", head="NOTICE bob :"), id="no PRIVMSG"),
        pytest.param(message(f"SEND f {MINE} 5001 100", head=":al!u@h PRIVMSG bob :"), id="a prefix"),
        pytest.param(message(f"SEND f {MINE} 5001 100", head="PRIVMSG bob :hello :"), id="not the text's start"),
        pytest.param(message(f"send f {MINE} 5001 100"), id="a kind in lower case"),
        pytest.param(message(f"SEND CHAT f {MINE} 5001 100"), id="a kind within a kind"),
        pytest.param(message(f"SEND f {MINE} 0 100"), id="port 0"),
        pytest.param(message(f"SEND f {MINE + 1} 5001 100"), id="another host's address"),
        pytest.param(message("SEND f 10.0.1.2 5001 100"), id="an address with points"),
        pytest.param(message(f"SEND f {MINE}  5001 100").rstrip(b"\r\n"), id="no end of line"),
        pytest.param(message(f"SEND f {MINE} 5001 100", head="PRIVMSG " + "x" * 4075 + " :"), id="too far behind"),
        pytest.param(b"PRIVMSG b :\x01DCC CHAT c 167772418 1\n", id="shorter than any real one"),
    ],
)
def test_no_offer(text):
    assert ports(text) == []


def test_numbers_wrap():
    assert ports(message(f"SEND f {MINE + 2**32} {5001 + 2**16} 1")) == [5001]


def test_blanks_may_stand_before_the_port_only():
    assert ports(message(f"SEND f {MINE}    5001 1")) == [5001]
    assert ports(message(f"SEND f  {MINE} 5001 1")) == []


def test_only_what_the_client_sends_counts():
    assert hold(Irc, [(REPLY, message(f"SEND f {MINE} 5001 100"))]) == []


def test_nothing_is_read_before_both_sides_have_spoken():
    fresh = connection(Irc)
    Irc().packet(fresh.packet(message(f"SEND f {MINE} 5001 100"), state="new"))
    assert fresh.table == []


def test_a_refused_expectation_drops():
    refusing = connection(Irc)
    refusing.refuse = ["busy"]
    with pytest.raises(Refused):
        Irc().packet(refusing.packet(message(f"SEND f {MINE} 5001 100")))


@pytest.mark.parametrize("named", [MINE, SEEN_AS])
def test_a_translated_client_is_offered_as_the_world_sees_it(named):
    translated = connection(Irc, natted=True)
    translated.refuse = ["busy"]
    packet = translated.packet(message(f"SEND f {named}  5001 100"))
    Irc().packet(packet)
    assert packet.payload == message(f"SEND f {SEEN_AS} 5002 100")
    (entry,) = translated.table
    assert entry.wanted == Expect(dst=ip_address("10.0.2.1"), dport=5002, l4proto=TCP, nat=Nat(REPLY, 5001))


def test_parameters_make_the_policy():
    assert Irc.policies_for({}) == Irc.policies
    assert Irc.policies_for({"max_dcc_channels": 2, "dcc_timeout": 60}) == (Policy("dcc", 2, 60),)


@pytest.mark.parametrize("channels", [0, 256])
def test_impossible_parameters_are_refused(channels):
    with pytest.raises(UsageError, match="1 to 255"):
        Irc.policies_for({"max_dcc_channels": channels})


@given(
    conversations(
        b"PRIVMSG ", b"bob", b" :", b"\x01DCC ", b"SEND ", b"SCHAT ", b"file ", b"167772418", b" ", b"5001", b"\r\n"
    ),
    st.booleans(),
)
def test_noise_does_no_harm(steps, natted):
    hold(Irc, steps, natted=natted)


@pytest.mark.parametrize("text", [b" " * 65000, b" :" * 32000, b"PRIVMSG x :\x01DCC SEND f " + b"9" * 4060 + b"\n"])
def test_the_longest_packets_are_read_in_one_pass(text):
    hold(Irc, [(ORIGINAL, text)])

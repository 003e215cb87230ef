"""The parser says what the original says, for some 250 right and wrong command lines."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from conntap.dropin.messages import Stop
from conntap.dropin.parse import parse

TABLE = Path(__file__).parents[2] / "golden/dropin/usage.tsv"
ROWS = [line.split("\t") for line in TABLE.read_text().splitlines() if not line.startswith("#")]


def plan(*words: str):
    return parse(["conntrack", *words], lambda _: None)


def fault(*words: str) -> tuple[int, str]:
    with pytest.raises(Stop) as caught:
        plan(*words)
    return caught.value.status, caught.value.text.partition("): ")[2].splitlines()[0]


@pytest.mark.parametrize(("status", "words", "message"), ROWS, ids=[row[1] or "nothing" for row in ROWS])
def test_message_and_status_are_the_originals(status, words, message):
    if status == "ok":
        plan(*shlex.split(words))
    else:
        assert fault(*shlex.split(words)) == (int(status), message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-L -m abc", "unexpected value 'abc' with -m option"),
        ("-L -w 65536", "unexpected value '65536' with -w option"),
        ("-L -m 4294967296", "unexpected value '4294967296' with -m option"),
        ("-L --orig-zone x", "unexpected value 'x' with -( option"),
        ("-L --reply-zone ''", "unexpected value '' with -) option"),
        ("-D -i 3x", "unexpected value '3x' with -i option"),
        ("-L -c -1", "unexpected value '-1' with -c option"),
        ("-U --label-add a --label-del b", "cannot use --label-add and --label-del at the same time"),
        ("-U --label-del --label-add b", "cannot use --label-add and --label-del at the same time"),
    ],
)
def test_1_4_9_checks_numbers_and_label_changes(words, message):
    assert fault(*shlex.split(words)) == (1, message)


def test_1_4_9_takes_no_text_behind_a_command_letter():
    assert fault("-Lx") == (2, "unknown option `-Lx'")
    assert plan("-Cx").command == "C"


def test_map_may_be_named_only_once():
    assert fault("-L", "--labelmap", "a", "--labelmap", "b") == (2, "option `--labelmap' can only be specified once")


def test_unknown_state_of_sctp_is_a_message_and_no_crash():
    assert fault("-L", "-p", "sctp", "--state", "FOO") == (2, "unknown SCTP state `FOO'")


def test_options_may_stand_anywhere_and_the_table_behind_its_command():
    made = plan("foo", "-p", "udp", "-L", "dying", "bar", "--dport", "53")
    assert (made.command, made.table, made.protonum, made.orig.dport) == ("L", "dying", 17, 53)


def test_prefix_becomes_a_mask():
    made = plan("-L", "-s", "192.0.2.77/24", "-d", "198.51.100.1/32")
    assert (made.orig.src, made.mask.src, made.mask.dst) == (bytes([192, 0, 2, 77]), bytes([255, 255, 255, 0]), None)
    assert {"src", "mask-src", "dst"} == made.given


def test_short_addresses_are_those_of_inet_aton():
    assert plan("-L", "-s", "10.1").orig.src == bytes([10, 0, 0, 1])


def test_nat_takes_its_address_from_the_next_word_only():
    nat = plan("-L", "-n", "[2001:db8::1]:80").src_nat
    assert nat
    assert nat.port == 80
    assert nat.address == bytes.fromhex("20010db8" + "0" * 23 + "1")
    attached = plan("-L", "--src-nat=1.2.3.4").src_nat
    assert attached
    assert attached.address is None


def test_status_words_collect_and_negation_asks_for_clear_bits():
    assert plan("-L", "-u", "asS", "-u", "!EXPECTED,UNREPLIED").status == (4, 3)


def test_numbers_wrap_as_in_c():
    made = plan("-L", "-p", "tcp", "--dport", "65537", "--sport", "https")
    assert (made.orig.dport, made.orig.sport) == (1, 0)
    assert plan("-L", "-m", "0x10/0xf0").mark == (16, 240)
    assert plan("-L", "-m", "7/").mark == (7, 0)


def test_creating_without_an_address_family_means_ipv4():
    assert plan("-C").family == 2
    assert plan("-L").family == 0


def test_bytes_that_are_no_text_are_no_address():
    assert fault("-L", "-s", "\udcff") == (2, "Invalid IP address `\udcff'")

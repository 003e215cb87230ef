"""`Conntrack` on the real kernel: what is made is read back, what is asked for is changed, and nothing else."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

import conntap
from conftest import udp
from conntap.errors import ClosedError, KernelError, NotFoundError, PrivilegeError, UsageError

pytestmark = pytest.mark.lab


def sports(ct, where=""):
    return sorted(flow.original.sport for flow in ct.flows(where))


def test_a_flow_that_was_made_is_read_back_whole(ct):
    ct.create(
        orig_src="2001:db8::1", orig_dst="2001:db8::2", l4proto=6, orig_sport=4000, orig_dport=443,
        timeout=600, tcp_state=3, status=conntap.Status.CONFIRMED | conntap.Status.SEEN_REPLY | conntap.Status.ASSURED,
        mark=7, zone=5,
    )  # fmt: skip
    [flow] = ct.flows()
    assert (str(flow.original.src), str(flow.original.dst)) == ("2001:db8::1", "2001:db8::2")
    assert (flow.original.sport, flow.original.dport, flow.protocol) == (4000, 443, "tcp")
    assert flow.reply.src == flow.original.dst
    assert (flow.tcp_state, flow.mark, flow.zone, flow.assured, flow.replied) == ("ESTABLISHED", 7, 5, True, True)
    assert 590 < flow.timeout <= 600
    assert conntap.Status.ASSURED in flow.status
    assert flow.original_counters.packets == 0
    assert flow.start_ns > 0
    assert flow.unknown == {}


def test_source_nat_shows_in_the_reply_tuple(ct):
    ct.create(**udp(1, nat_src=("203.0.113.7", 5000)))
    [flow] = ct.flows("snat")
    assert (str(flow.reply.dst), flow.reply.dport) == ("203.0.113.7", 5000)


def test_get_finds_one_and_says_when_there_is_none(ct):
    ct.create(**udp(1))
    key = {name: value for name, value in udp(1).items() if name != "timeout"}
    assert ct.get(**key).original.sport == 1
    with pytest.raises(NotFoundError):
        ct.get(**{**key, "orig_sport": 2})


def test_creating_twice_fails_and_replacing_does_not(ct):
    ct.create(**udp(1))
    with pytest.raises(KernelError) as caught:
        ct.create(**udp(1))
    assert caught.value.errno == errno.EEXIST
    ct.create(**udp(1, mark=9), replace=True)
    assert ct.count() == 1


def test_update_and_delete_touch_only_what_matches(ct):
    for sport in range(1, 6):
        ct.create(**udp(sport))
    assert ct.update("sport 2,3", mark=9) == 2
    assert sports(ct, "mark 9") == [2, 3]
    assert ct.delete("mark 9", limit=1) == 1
    assert ct.delete("mark 9") == 1
    assert sports(ct) == [1, 4, 5]


def test_an_empty_filter_deletes_nothing(ct):
    ct.create(**udp(1))
    with pytest.raises(UsageError, match="everything"):
        ct.delete(" ")
    assert ct.count() == 1


def test_deleting_without_a_tuple_is_refused(ct):
    """The kernel would take it for "delete everything"."""
    ct.create(**udp(1))
    with pytest.raises(UsageError, match="tuple"):
        ct.requests.flow("delete", {"mark": 1})
    with pytest.raises(UsageError, match="tuple"):
        ct.requests.expectation("delete", {})
    assert ct.count() == 1


def test_flush_keeps_the_other_family(ct):
    ct.create(**udp(1))
    ct.create(orig_src="2001:db8::1", orig_dst="2001:db8::2", l4proto=17, orig_sport=1, orig_dport=2, timeout=300)
    ct.flush("ipv4")
    assert [flow.family for flow in ct.flows()] == [10]
    ct.flush()
    assert ct.count() == 0


def test_ipv6_addresses_are_filtered_right_although_the_kernel_inverts_them(ct):
    """CTA_FILTER drops the IPv6 entries that match (seen on 6.18): such filters must not be left to the kernel."""
    for last in (1, 2, 3):
        ct.create(
            orig_src=f"2001:db8::{last}", orig_dst="2001:db8::9", l4proto=17, orig_sport=1, orig_dport=2, timeout=300
        )
    assert [str(flow.original.src) for flow in ct.flows("src 2001:db8::2")] == ["2001:db8::2"]
    assert ct.delete("src 2001:db8::2") == 1
    assert sorted(str(flow.original.src) for flow in ct.flows()) == ["2001:db8::1", "2001:db8::3"]


def test_counters_are_zeroed_as_they_are_read(ct):
    ct.create(**udp(1))
    assert len(list(ct.flows(zero=True))) == 1


def test_zeroing_with_a_filter_is_refused_since_it_would_zero_more_than_it_shows(ct):
    with pytest.raises(UsageError, match="whole table"):
        ct.flows("src 192.0.2.0/24", zero=True)


def test_statistics_have_names(ct):
    assert ct.limit() > 0
    assert {"cpu", "found", "insert_failed", "drop", "early_drop"} <= set(ct.stats()[0])
    assert {"expect_new", "expect_create", "expect_delete"} <= set(ct.expectation_stats()[0])


def test_settings_are_those_of_the_namespace(ct):
    assert ct.settings("events", "acct", "no_such_thing") == {"events": 1, "acct": 1}


def test_an_expectation_needs_a_master_with_a_helper(ct):
    ct.create(**{**udp(1), "l4proto": 6, "orig_dport": 21, "helper": "ftp", "tcp_state": 3})
    wanted = {"src": "198.51.100.9", "dst": "192.0.2.1", "l4proto": 6, "dport": 41222, "timeout": 60}
    master = {"master_src": "192.0.2.1", "master_dst": "198.51.100.9", "master_l4proto": 6, "master_dport": 21}
    with pytest.raises(KernelError):
        ct.create_expectation(**wanted, **master, master_sport=2)
    ct.create_expectation(**wanted, **master, master_sport=1)
    [expectation] = ct.expectations("helper ftp")
    assert expectation.tuple.dport == 41222
    assert not expectation.any_source
    assert "41222" in expectation.explain()
    assert ct.delete_expectations() == 1
    assert list(ct.expectations()) == []


def test_event_words_are_refused_on_a_table(ct):
    with pytest.raises(UsageError, match="no events"):
        ct.flows("new and tcp")


def test_after_close_nothing_works_and_the_error_says_so(ct):
    ct.close()
    with pytest.raises(ClosedError):
        ct.count()


def test_one_handle_serves_eight_threads(ct):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda sport: ct.create(**udp(sport)), range(1, 201)))
        counts = list(pool.map(lambda _: len(list(ct.flows())), range(8)))
    assert counts == [200] * 8


def test_without_privilege_the_missing_capability_is_named():
    """In a user namespace of its own a process has no rights over the network namespace that it came from."""
    program = (
        "import conntap\n"
        "try: conntap.open().count()\n"
        "except conntap.errors.PrivilegeError as error: print(error, '|', error.hint)\n"
    )
    done = subprocess.run(["unshare", "-U", sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "CAP_NET_ADMIN" in done.stdout, done.stderr
    assert "sudo" in done.stdout


def test_privilege_errors_are_permission_errors():
    assert issubclass(PrivilegeError, PermissionError)

"""The kernel's settings for a log, on the real kernel, in a namespace of the test's own."""

from __future__ import annotations

import errno
import os

import pytest

import conntap
from conntap.errors import KernelError, NotFoundError
from conntap.knobs import KNOBS, check, fix
from conntap.lab import Host


@pytest.fixture
def host():
    made = Host("knobs", first=None)
    made.sysctl({"netfilter/nf_conntrack_events": 2, "netfilter/nf_conntrack_acct": 0})
    made.sysctl({"netfilter/nf_conntrack_timestamp": 0})
    yield made
    made.close()


def values(pid):
    return {finding.knob.name: finding.found for finding in check(pid)}


@pytest.mark.lab
def test_what_does_not_fit_is_found_and_nothing_is_changed(host):
    assert not any(finding.ok for finding in check(host.pid))
    expected = {"nf_conntrack_events": 2, "nf_conntrack_acct": 0, "nf_conntrack_timestamp": 0}
    assert values(host.pid) == values(host.pid) == expected


@pytest.mark.lab
def test_fix_sets_them_in_that_namespace_alone(host):
    own = values(os.getpid())
    assert all(finding.ok and not finding.problem for finding in fix(host.pid))
    assert set(values(host.pid).values()) == {1}
    assert values(os.getpid()) == own


@pytest.mark.lab
def test_after_fix_new_connections_are_counted_and_dated(host):
    fields = {"orig_src": "192.0.2.1", "orig_dst": "192.0.2.2", "l4proto": 17, "orig_sport": 1, "timeout": 60}
    with conntap.open(host.pid) as ct:
        ct.create(**fields, orig_dport=1)
        fix(host.pid)
        ct.create(**fields, orig_dport=2)
        before, after = sorted(ct.flows(), key=lambda flow: flow.original.dport)
    assert before.original_counters is None
    assert not before.start_ns
    assert after.original_counters.packets == 0
    assert after.start_ns > 0


@pytest.mark.lab
def test_a_setting_that_may_not_be_written_says_why(host, monkeypatch):
    """As under a service manager that mounts /proc/sys read-only."""
    from conntap import _core

    def refuse(path, text, netns=None):
        raise KernelError(f"writing {path}", errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(_core, "write_in_namespace", refuse)
    told = str(fix(host.pid)[0])
    assert "nf_conntrack_events is 2: " in told
    assert told.endswith(
        "; it could not be set: Read-only file system. Set it: sysctl -w net.netfilter.nf_conntrack_events=1"
    )


@pytest.mark.lab
def test_the_core_writes_in_one_piece_and_makes_no_file(host, tmp_path):
    from conntap import _core

    with pytest.raises(KernelError, match=r"^writing .*: Invalid argument"):
        _core.write_in_namespace("/proc/sys/net/netfilter/nf_conntrack_acct", "2\n", f"/proc/{host.pid}/ns/net")
    with pytest.raises(NotFoundError):
        _core.write_in_namespace(tmp_path / "new", "1")
    assert not (tmp_path / "new").exists()


def test_no_such_namespace():
    with pytest.raises(NotFoundError):
        check("no-such-namespace")


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_the_document_and_the_sysctl_file_have_each(root, knob):
    row = f"| `{knob.name}` | {knob.wanted} | {knob.lost} | {knob.costs} |"
    assert row in (root / "docs/log-config.md").read_text().splitlines()
    assert knob.sysctl in (root / "packaging/sysctl.d/60-conntap.conf").read_text().splitlines()

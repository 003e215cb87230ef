"""What is read, of a real namespace and without rights."""

from __future__ import annotations

import pytest

from conntap.doctor import reading
from conntap.doctor.model import Unseen
from conntap.doctor.reading import Reading, read
from conntap.errors import NotFoundError, PrivilegeError


def test_a_setting_that_is_no_number_is_none() -> None:
    seen = Reading(settings={"netfilter/nf_conntrack_max": "many", "netfilter/nf_conntrack_count": "5"})
    assert (seen.number("nf_conntrack_max"), seen.number("nf_conntrack_count"), seen.number("x")) == (None, 5, None)


def test_lines_of_another_namespace_reach_the_kernels_log_only_when_told_so() -> None:
    assert Reading(initial=True).reaches_kernel_log
    assert not Reading(initial=False).reaches_kernel_log
    assert Reading(initial=False, settings={"netfilter/nf_log_all_netns": "1"}).reaches_kernel_log


def test_no_such_namespace() -> None:
    with pytest.raises(NotFoundError):
        read("no-such-namespace")


@pytest.mark.lab
def test_a_fresh_namespace(netns: int) -> None:
    seen = read(netns)
    assert not seen.initial
    assert seen.number("nf_conntrack_count") == 0
    assert "netfilter/nf_log/2" in seen.settings
    assert seen.expectations == {}
    assert {"cpu", "drop", "early_drop", "insert_failed"} <= set(seen.cpus[0])
    assert seen.netlink.startswith("sk")
    assert seen.memory > 1 << 20


def test_without_netlink_the_settings_are_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused:
        def __init__(self, _netns: object) -> None:
            raise PrivilegeError("reading the counters", 1, "needs CAP_NET_ADMIN in this network namespace")

    monkeypatch.setattr("conntap.kernel.Conntrack", Refused)
    monkeypatch.setattr(reading, "_left", lambda _path: "")
    seen = read()
    assert seen.cpus == ()
    assert seen.expectations is None
    whats = {unseen.what: unseen.why for unseen in seen.unseen}
    assert "CAP_NET_ADMIN" in whats["the kernel's counters, and the expectations"]
    assert seen.settings


def test_slabs_that_may_not_be_read_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reading, "_text", refuse)
    unseen: list[Unseen] = []
    assert reading._slabs(unseen) == {}
    assert unseen[0].why == "Permission denied"


def test_slabs_are_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "slabinfo - version: 2.1\n# name\nnf_conntrack  68103  68112  256 16 1 : tunables\nkmalloc-8 1 2 8\n"
    monkeypatch.setattr(reading, "_text", lambda _path: text)
    assert reading._slabs([]) == {"nf_conntrack": (68_103, 68_112, 256)}

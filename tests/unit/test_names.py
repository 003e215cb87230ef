"""Host names are never waited for."""

from __future__ import annotations

import socket
import threading
import time

from conntap.names import HostNames


def wait_for(condition):
    deadline = time.monotonic() + 5
    ticks = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        ticks.wait(0.01)


def test_the_first_answer_is_not_yet_and_a_later_one_the_name(monkeypatch):
    monkeypatch.setattr(socket, "gethostbyaddr", lambda address: (f"host-{address}", [], []))
    names = HostNames()
    assert names.get("192.0.2.1") is None
    wait_for(lambda: names.get("192.0.2.1") == "host-192.0.2.1")


def test_a_slow_name_server_holds_nothing_up(monkeypatch):
    asked, release = threading.Event(), threading.Event()

    def slow(address):
        asked.set()
        release.wait(5)
        return ("late", [], [])

    monkeypatch.setattr(socket, "gethostbyaddr", slow)
    names = HostNames()
    assert names.get("192.0.2.1") is None
    assert asked.wait(5)
    assert names.get("192.0.2.1") is None  # still being asked, and yet at once
    release.set()
    wait_for(lambda: names.get("192.0.2.1") == "late")


def test_a_host_without_a_name_is_asked_once(monkeypatch):
    asked = []

    def unknown(address):
        asked.append(address)
        raise OSError

    monkeypatch.setattr(socket, "gethostbyaddr", unknown)
    names = HostNames()
    names.get("192.0.2.1")
    wait_for(lambda: asked)
    assert names.get("192.0.2.1") is None
    assert asked == ["192.0.2.1"]

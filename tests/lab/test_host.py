"""A host is a network namespace of its own, and says what it could not do."""

from __future__ import annotations

import os
import socket

import pytest

from conntap.lab import SERVER, Lab, LabError, MissingProgramError


def network() -> str:
    return os.readlink("/proc/thread-self/ns/net")


def test_each_host_has_a_network_of_its_own_and_we_keep_ours(lab):
    before = network()
    networks = [host.call(network) for host in (lab.client, lab.gateway, lab.server)]
    assert len({before, *networks}) == 4
    assert network() == before


def test_pid_stands_for_the_hosts_network(lab):
    assert os.readlink(f"/proc/{lab.gateway.pid}/ns/net") == lab.gateway.call(network)


def test_a_socket_made_in_a_host_stays_there(lab):
    with lab.server.call(socket.create_server, (SERVER, 4321)) as listener:
        assert listener.getsockname() == (SERVER, 4321)
        with pytest.raises(ConnectionRefusedError):  # the client's own loopback has no such listener
            lab.client.call(socket.create_connection, ("127.0.0.1", 4321))


def test_run_gives_the_output_and_takes_input(lab):
    assert lab.client.run(["cat"], input="hello\n") == "hello\n"


def test_a_program_that_fails_raises_its_last_words(lab):
    with pytest.raises(LabError, match=r"client: sh -c .*: no luck"):
        lab.client.run(["sh", "-c", "echo no luck >&2; exit 3"])
    assert lab.client.run(["sh", "-c", "exit 3"], check=False) == ""


def test_a_program_that_is_missing_names_the_package(monkeypatch):
    monkeypatch.setattr("conntap.programs.shutil.which", lambda _program, path: None)
    with pytest.raises(MissingProgramError, match="'ip'") as caught, Lab():
        pass
    assert "apt-get install -y iproute2" in caught.value.hint


def test_a_setting_that_does_not_exist_is_named(lab):
    with pytest.raises(LabError, match="/proc/sys/net/ipv4/no_such_setting"):
        lab.client.sysctl({"ipv4/no_such_setting": 1})


def test_what_a_function_raises_reaches_the_caller(lab):
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lab.client.call(fail)


def test_listeners_counts_event_sockets(lab, wait_for):
    import conntap

    wait_for(lambda: lab.gateway.listeners() == 0, "earlier listeners gone")
    with conntap.open(lab.gateway.pid) as ct, ct.events():
        assert lab.gateway.listeners() == 1
        assert lab.client.listeners() == 0


def test_after_close_a_host_refuses_and_close_again_is_fine():
    lab = Lab()
    with lab:
        client = lab.client
    lab.close()
    with pytest.raises(LabError, match="taken down"):
        client.call(network)

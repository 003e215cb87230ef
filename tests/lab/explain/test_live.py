"""`conntap explain expectation|flow` on the lab's gateway: a real FTP session, the gateway's real rules."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import conntap
from conntap.lab import CLIENT, GATEWAY6, SERVER, SERVER6
from golden.cli.running import call
from golden.cli.stage import wait_for

if TYPE_CHECKING:
    from collections.abc import Generator

    from conntap.lab import Lab

GATEWAY = "203.0.113.1"


def serve(ready: threading.Event, says: bytes) -> tuple[socket.socket, socket.socket]:
    """The server's side: a greeting, then *says* for the first command, then "200 ok" for the second."""
    listening = socket.create_server((SERVER, 21))
    ready.set()
    control, _ = listening.accept()
    control.sendall(b"220 hello\r\n")
    control.recv(1_000)
    control.sendall(says)
    control.recv(1_000)
    control.sendall(b"200 ok\r\n")
    return listening, control


def ask(command: bytes) -> socket.socket:
    """The client's side: a name, then *command*."""
    control = socket.create_connection((SERVER, 21))
    control.recv(1_000)
    control.sendall(b"USER x\r\n")
    control.recv(1_000)
    control.sendall(command)
    control.recv(1_000)
    return control


@contextmanager
def session(lab: Lab, *, command: bytes = b"NOOP\r\n", answer: bytes = b"230 in\r\n") -> Generator[None]:
    """An FTP control connection through the gateway, open meanwhile."""
    ready = threading.Event()
    server = lab.server.start(serve, ready, answer)
    assert ready.wait(10)
    client = lab.client.call(ask, command)
    listening, control = server.result()
    with listening, control, client:
        yield


def told(lab: Lab, *words: str) -> list[dict[str, Any]]:
    done = call("explain", *words, "--json", "--netns", str(lab.gateway.pid))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


PORT = b"PORT 10,0,0,5,195,80\r\n"
PASSIVE = f"227 Entering Passive Mode ({SERVER.replace('.', ',')},200,10).\r\n".encode()


def test_an_active_session_is_explained(lab: Lab) -> None:
    """The server may come in to the client behind NAT, by the rule that lets RELATED of ftp in."""
    with session(lab, command=PORT):
        [found] = told(lab, "expectation")
    assert found["master"]["orig_src"] == CLIENT
    assert found["assigned_by"]["certain"] is True
    [rule] = found["assigned_by"]["rules"]
    assert "chain helpers" in rule["place"]
    assert 'ct helper set "ftp"' in rule["text"]
    assert found["led_to"] == f"{CLIENT}:50000"
    assert found["shown_as"] == SERVER
    assert found["anyone"] is False
    entrance = found["entrance"]
    assert (entrance["verdict"], entrance["iifname"], entrance["oifname"]) == ("accepted", "outside", "inside")
    assert "ct state related ct helper" in entrance["rules"][0]["text"]


def test_what_the_kernel_does_is_what_was_told(lab: Lab) -> None:
    """The server comes: it reaches the client at the port that was told, and from the address that was told."""
    with session(lab, command=PORT):
        [found] = told(lab, "expectation")
        host, _, port = found["led_to"].partition(":")

        def listen() -> socket.socket:
            return socket.create_server((host, int(port)))

        def come() -> socket.socket:
            return socket.create_connection((GATEWAY, 50_000), timeout=10, source_address=(SERVER, 0))

        with lab.client.call(listen) as waiting, lab.server.call(come):
            arrived, (source, _) = waiting.accept()
            arrived.close()
        assert source == found["shown_as"]


def test_a_passive_session_is_explained(lab: Lab) -> None:
    """The client opens the second connection too, and is shown with the gateway's address."""
    with session(lab, answer=PASSIVE):
        [found] = told(lab, "expectation")
    assert found["led_to"] == f"{SERVER}:51210"
    assert found["shown_as"] == GATEWAY
    assert (found["entrance"]["iifname"], found["entrance"]["oifname"]) == ("inside", "outside")


def test_one_that_anyone_may_use_is_called_so(lab: Lab) -> None:
    """Made by hand: a wildcard source, as DCC makes it."""
    with conntap.open(lab.gateway.pid) as ct:
        ct.create(orig_src=CLIENT, orig_dst=SERVER, l4proto=6, orig_sport=4_000, orig_dport=21, timeout=60, tcp_state=3,
                  helper="ftp")  # fmt: skip
        ct.create_expectation(dst=CLIENT, dport=5_001, l4proto=6, timeout=60, master_src=CLIENT, master_dst=SERVER,
                              master_l4proto=6, master_sport=4_000, master_dport=21)  # fmt: skip
        text = call("explain", "expectation", "--netns", str(lab.gateway.pid)).stdout
        [found] = told(lab, "expectation")
    assert found["anyone"] is True
    assert "who      anyone, from any port, to tcp 10.0.0.5 port 5001" in text
    # The lab's gateway has no default route: by which interface anyone comes nobody can say.
    assert (found["entrance"]["iifname"], found["entrance"]["oifname"]) == (None, "inside")
    assert found["entrance"]["verdict"] == "accepted"


def test_ipv6(lab: Lab) -> None:
    def serve6(ready: threading.Event) -> tuple[socket.socket, socket.socket]:
        listening = socket.create_server((SERVER6, 21), family=socket.AF_INET6)
        ready.set()
        control, _ = listening.accept()
        control.sendall(b"220 hello\r\n")
        control.recv(1_000)
        control.sendall(b"229 Entering Extended Passive Mode (|||51212|)\r\n")
        return listening, control

    def ask6() -> socket.socket:
        control = socket.create_connection((SERVER6, 21))
        control.recv(1_000)
        control.sendall(b"EPSV\r\n")
        control.recv(1_000)
        return control

    ready = threading.Event()
    server = lab.server.start(serve6, ready)
    assert ready.wait(10)
    client = lab.client.call(ask6)
    listening, control = server.result()
    with listening, control, client:
        [found] = told(lab, "expectation")
    assert found["led_to"] == f"[{SERVER6}]:51212"
    assert found["shown_as"] == GATEWAY6
    assert (found["entrance"]["verdict"], found["entrance"]["iifname"]) == ("accepted", "inside")
    assert found["assigned_by"]["certain"] is True


def test_a_flow_is_explained_with_what_belongs_to_it(lab: Lab) -> None:
    with session(lab, command=PORT), conntap.open(lab.gateway.pid) as ct:

        def come() -> socket.socket:
            return socket.create_connection((GATEWAY, 50_000), timeout=10, source_address=(SERVER, 0))

        [control] = told(lab, "flow", "dport", "21")
        assert len(control["expectations"]) == 1
        assert control["children"] == []
        assert control["setting"] == "nf_conntrack_tcp_timeout_established"
        assert "chain helpers" in control["assigned_by"]["rules"][0]["place"]
        with lab.client.call(socket.create_server, (CLIENT, 50_000)), lab.server.call(come):
            wait_for(lambda: list(ct.flows("dport 50000")), "the child")
            [control] = told(lab, "flow", "dport", "21")
            assert control["expectations"] == []
            assert [child["orig_src"] for child in control["children"]] == [SERVER]
            text = call("explain", "flow", "dport", "50000", "--netns", str(lab.gateway.pid)).stdout
            assert f"it was expected by tcp {CLIENT}:" in text
            assert "has inherited its NAT" in text


def test_text_answers_each_question(lab: Lab) -> None:
    with session(lab, command=PORT):
        done = call("explain", "expectation", "--netns", str(lab.gateway.pid))
    labels = [line[2:11].strip() for line in done.stdout.splitlines() if line.startswith("  ") and line[2] != " "]
    assert labels == ["master", "helper", "NAT", "who", "rule", "until"]


def test_a_rule_set_that_drops_it_is_told(lab: Lab) -> None:
    """A chain before the others that drops everything RELATED; taken away again."""
    hook = "type filter hook forward priority -10; policy accept;"
    rules = f"table inet shut {{ chain c {{ {hook} ct state related drop\n }}\n }}\n"
    with session(lab, command=PORT):
        lab.gateway.run(["nft", "-f", "-"], input=rules)
        try:
            [found] = told(lab, "expectation")
        finally:
            lab.gateway.run(["nft", "delete", "table", "inet", "shut"])
    assert found["entrance"]["verdict"] == "dropped"
    assert "table inet shut" in found["entrance"]["rules"][0]["place"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("expectation",), 0, "no expectation waits"),
        (("expectation", "helper", "sip"), 0, "no expectation matches"),
        (("flow",), 2, "say which: conntap explain flow FILTER"),
        (("flow", "dport", "9999"), 0, "no connection matches"),
        (("flow", "dprot", "21"), 2, "filter: "),
        (("expectation", "--ladder"), 2, "--ladder goes with packet captures"),
        (("expectation", "--masquerade", "203.0.113.1"), 2, "goes with packet captures"),
    ],
)
def test_what_is_wrong_or_not_there_is_told(lab: Lab, words: tuple[str, ...], status: int, said: str) -> None:
    done = call("explain", *words, "--netns", str(lab.gateway.pid))
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr


def test_a_namespace_means_nothing_to_a_capture() -> None:
    done = call("explain", "x.pcap", "--netns", "1")
    assert (done.returncode, "--netns goes with the kernel's tables" in done.stderr) == (2, True)

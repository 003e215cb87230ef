"""The base of all helpers, and the page that teaches to write one."""

from __future__ import annotations

import re
import runpy
from ipaddress import ip_address

import pytest

from conntap.helpers.base import REPLY, TCP, Drop, Expect, Helper, Refused, Tuple
from conntap.helpers.registry import HELPERS, load
from conntap.helpers.testing import FakeConnection


class Quiet(Helper):
    """Announces nothing."""

    name = "quiet"
    policies = ()
    parameters = {"patience": 3}  # noqa: RUF012 - as a helper would write it


def test_the_inverse_of_a_tuple_is_its_answer():
    flow = Tuple(ip_address("10.0.1.2"), ip_address("10.0.2.2"), TCP, 40000, 21)
    assert flow.inverse() == Tuple(ip_address("10.0.2.2"), ip_address("10.0.1.2"), TCP, 21, 40000)
    assert flow.inverse().inverse() == flow


def test_options_override_parameters_of_one_instance():
    assert Quiet().options == {"patience": 3}
    assert Quiet({"patience": 9}).options == {"patience": 9}
    assert Quiet.parameters == {"patience": 3}


def test_a_helper_must_read_packets():
    with pytest.raises(NotImplementedError):
        Quiet().packet(FakeConnection("10.0.1.2", 1, "10.0.2.2", 2).packet(b""))


def test_a_refusal_drops_unless_it_is_caught():
    assert issubclass(Refused, Drop)
    assert Refused("busy").why == "busy"


def blocks(root) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (root / "docs/helpers.md").read_text(), re.DOTALL)


@pytest.fixture
def example(root, tmp_path) -> dict[str, object]:
    """The page's program, after it has run: its own claims hold."""
    program = tmp_path / "example.py"
    program.write_text("\n\n".join(blocks(root)))
    return runpy.run_path(str(program))


def test_the_example_of_the_page_is_about_thirty_lines(root):
    lines = [line for line in blocks(root)[0].splitlines() if line.strip()]
    assert 20 < len(lines) < 40


def test_the_example_of_the_page_works(example):
    connection = FakeConnection("10.0.1.2", 40000, "10.0.2.2", 7777)
    helper = example["Weather"]()
    helper.packet(connection.packet(b"FEED 9000\r\n", direction=REPLY))
    helper.packet(connection.packet(b"FOOD 9000\r\n"))
    assert connection.table == []
    helper.packet(connection.packet(b"FEED 9000\r\n"))
    assert connection.table[0].wanted == Expect(
        src=ip_address("10.0.2.2"), dst=ip_address("10.0.1.2"), dport=9000, l4proto=17
    )
    with pytest.raises(Drop):
        helper.packet(connection.packet(b"FEED 99999\r\n"))


def row(root, name: str) -> list[str]:
    (line,) = re.findall(rf"^\| `{re.escape(name)}` \| (?:TCP|UDP).*$", (root / "docs/helpers.md").read_text(), re.M)
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", HELPERS)
def test_the_table_of_the_page_says_what_the_helpers_say(root, name):
    helper = load(name)
    _, connection, _, _, at_once, seconds = row(root, name)
    assert (str(helper.port) if helper.port else "expected only") in connection
    assert ("IPv4" in connection) == (helper.families == (4,))
    assert re.findall(r"\d+", at_once) == [str(policy.max_expected) for policy in helper.policies]
    assert {int(seconds)} == {policy.timeout for policy in helper.policies}


@pytest.mark.parametrize("name", HELPERS)
def test_every_parameter_is_on_the_page_with_its_default(root, name):
    text = (root / "docs/helpers.md").read_text()
    for parameter, default in load(name).parameters.items():
        assert re.search(rf"^\|[^|]*\| `{parameter}` \| {default} \|", text, re.M), parameter

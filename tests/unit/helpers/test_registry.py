"""Names lead to helpers, and helpers are what the registry says of them without loading them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conntap.errors import UsageError
from conntap.helpers.base import TCP, UDP, Helper
from conntap.helpers.registry import ALIASES, HELPERS, load, resolve, well_known


@pytest.mark.parametrize("name", HELPERS)
def test_every_entry_says_what_its_class_says(name):
    helper = load(name)
    entry = HELPERS[name]
    assert issubclass(helper, Helper)
    assert (helper.name, helper.l4protos, helper.port) == (name, entry.l4protos, entry.port)


@pytest.mark.parametrize("name", HELPERS)
def test_every_helper_starts_with_its_parameters_and_has_policies(name):
    helper = load(name)
    assert helper().options == helper.parameters
    policies = helper.policies_for({})
    assert policies == helper.policies
    assert all(policy.max_expected > 0 and policy.timeout > 0 for policy in policies)


@pytest.mark.parametrize(
    ("word", "names"),
    [("ftp", ("ftp",)), ("FTP", ("ftp",)), ("ras", ("RAS",)), ("q.931", ("Q.931",)), ("h323", ("RAS", "Q.931"))],
)
def test_words_in_any_case_lead_to_names(word, names):
    assert resolve(word) == names


def test_every_alias_leads_to_helpers():
    assert {name for names in ALIASES.values() for name in names} <= set(HELPERS)
    assert load("netbios_ns") is load("netbios-ns")


@pytest.mark.parametrize(("word", "hint"), [("tfpt", "did you mean 'tftp'"), ("xyzzy", "there are ftp,")])
def test_an_unknown_word_is_refused_with_advice(word, hint):
    with pytest.raises(UsageError, match="no helper is called") as raised:
        load(word)
    assert hint in raised.value.hint


def test_an_alias_of_several_cannot_be_loaded_as_one():
    with pytest.raises(UsageError, match="several") as raised:
        load("h323")
    assert raised.value.hint == "say one of RAS, Q.931"


def test_well_known_ports():
    ports = well_known()
    assert ports[TCP, 21] == ("ftp",)
    assert ports[TCP, 5060] == ports[UDP, 5060] == ("sip",)
    assert ports[UDP, 161] == ("snmp",)
    assert all(port for _, port in ports)


def test_asking_for_names_loads_no_helper():
    program = (
        "import sys; from conntap.helpers.registry import *; resolve('h323'); well_known();"
        "print([name for name in sys.modules if name.startswith('conntap.helpers.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['conntap.helpers.base', 'conntap.helpers.registry']"

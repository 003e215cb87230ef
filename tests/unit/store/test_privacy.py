"""Settings of privacy, and what a segment then tells."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from conntap.config.model import PrivacyConfig
from conntap.errors import UsageError
from conntap.store.privacy import options, words
from ledgers import Connection, publish, records_of, rows

INSIDE = int(ip_address("10.1.2.3"))


def ledger(tmp_path, **settings):
    records, _ = records_of([Connection(("10.1.2.3", 40000), ("198.51.100.77", 443), outside=("203.0.113.7", 50510))])
    publish(tmp_path, records, **settings)
    return rows(tmp_path, "out_addr, in_addr, dst_addr, dst_port")[0]


def test_everything_is_told_without(tmp_path):
    assert ledger(tmp_path)[1:] == (INSIDE, int(ip_address("198.51.100.77")), 443)
    assert words(options(None)) == ""


def test_no_destination(tmp_path):
    assert ledger(tmp_path, privacy=PrivacyConfig(no_destination=True))[1:] == (INSIDE, None, None)


def test_truncation_is_of_the_inside_alone(tmp_path):
    outside, inside, *_ = ledger(tmp_path, privacy=PrivacyConfig(truncate_inside=(24, 56)))
    assert (outside, inside) == (int(ip_address("203.0.113.7")), int(ip_address("10.1.2.0")))


def test_a_pseudonym_depends_on_the_key_alone(tmp_path):
    found = set()
    for name, key in (("a", b"a key of many bytes"), ("b", b"a key of many bytes"), ("c", b"another key of many")):
        path = tmp_path / f"{name}.key"
        path.write_bytes(key)
        found.add(ledger(tmp_path / name, privacy=PrivacyConfig(hash_key_file=str(path)))[1])
    assert len(found) == 2
    assert INSIDE not in found


def test_a_key_must_be_there_and_not_be_guessed(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        options(PrivacyConfig(hash_key_file=str(tmp_path / "none")))
    (tmp_path / "short").write_bytes(b"secret\n")
    with pytest.raises(UsageError, match="a key of 6 bytes can be guessed"):
        options(PrivacyConfig(hash_key_file=str(tmp_path / "short")))


def test_networks():
    assert options(None, ["10.0.0.0/8"])["networks"] == [(ip_address("10.0.0.0"), 8)]
    with pytest.raises(UsageError, match=r"'10\.0\.0\.1/8' is no network"):
        options(None, ["10.0.0.1/8"])


def test_the_footer_tells_the_settings_without_the_key(tmp_path):
    (tmp_path / "key").write_bytes(b"a key of many bytes")
    made = options(PrivacyConfig(no_destination=True, hash_key_file=str(tmp_path / "key")))
    assert words(made) == "no_destination hash_inside"

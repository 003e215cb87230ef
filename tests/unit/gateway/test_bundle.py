"""A gateway in a tar, and what is no such tar."""

import io
import tarfile

import pytest

from conntap.errors import UsageError
from conntap.gateway import bundle
from conntap.gateway.bundle import is_bundle, read_bundle, write_bundle
from conntap.gateway.state import Gateway


def tar_of(path, *members):
    with tarfile.open(path, "w") as tar:
        for name, data, kind in members:
            member = tarfile.TarInfo(name)
            member.size, member.type = len(data), kind
            tar.addfile(member, io.BytesIO(data))
    return path


def test_a_bundle_holds_all_texts_and_what_was_missing(tmp_path):
    gateway = Gateway({"nft.json": '{"nftables": []}', "sysctl": "a.b = 1\n"}, {"modules": "no\nsuch file"})
    write_bundle(gateway, tmp_path / "a.tar")
    assert is_bundle((tmp_path / "a.tar").read_bytes()[:512])
    read = read_bundle(tmp_path / "a.tar")
    assert dict(read.texts) == dict(gateway.texts)
    assert dict(read.missing) == {"modules": "no such file"}


def test_a_bundle_says_what_it_holds(tmp_path):
    write_bundle(Gateway({"sysctl": ""}), tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        about = tar.extractfile("README")
        assert about is not None
        assert b"with all their addresses" in about.read()


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("../../etc/passwd", tarfile.REGTYPE, "none of a gateway's texts"),
        ("/sysctl", tarfile.REGTYPE, "none of a gateway's texts"),
        ("sysctl", tarfile.SYMTYPE, "no plain file"),
        ("sysctl", tarfile.LNKTYPE, "no plain file"),
        ("sysctl", tarfile.CHRTYPE, "no plain file"),
    ],
)
def test_a_hostile_member_is_refused(tmp_path, name, kind, words):
    data = b"x" if kind == tarfile.REGTYPE else b""
    with pytest.raises(UsageError, match=words):
        read_bundle(tar_of(tmp_path / "a.tar", (name, data, kind)))


def test_a_huge_member_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_TEXT", 10)
    with pytest.raises(UsageError, match="11 bytes, more than 10"):
        read_bundle(tar_of(tmp_path / "a.tar", ("sysctl", b"x" * 11, tarfile.REGTYPE)))


def test_too_many_members_are_refused(tmp_path):
    members = [("sysctl", b"", tarfile.REGTYPE)] * (bundle.MAX_MEMBERS + 1)
    with pytest.raises(UsageError, match="more than 64 members"):
        read_bundle(tar_of(tmp_path / "a.tar", *members))


@pytest.mark.parametrize("keep", [600, 1_100])
def test_half_of_a_bundle_is_refused(tmp_path, keep):
    path = tar_of(tmp_path / "a.tar", ("sysctl", b"a.b = 1\n" * 200, tarfile.REGTYPE))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UsageError, match="no bundle"):
        read_bundle(path)


def test_an_empty_tar_is_no_bundle(tmp_path):
    with pytest.raises(UsageError, match="holds no text"):
        read_bundle(tar_of(tmp_path / "a.tar"))

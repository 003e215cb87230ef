"""Capture files are told apart by how they begin, unpacked as they are read, and left closed."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading

import pytest
import zstandard

from conntap import files
from conntap.errors import RecordingError, UsageError
from conntap.files import LINKTYPE_NETLINK, File, open_files, open_source

ETHERNET = 1


@pytest.fixture
def plain(data) -> bytes:
    return (data / "pcap/ftp_active.pcap").read_bytes()


@pytest.fixture
def put(tmp_path):
    """Write a file; gives its name."""

    def write(content: bytes, name: str = "file") -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


def whole(source: files.Source, size: int = 1000) -> bytes:
    parts: list[bytes] = []
    while part := source.read(size):
        assert len(part) <= size
        parts.append(part)
    source.close()
    return b"".join(parts)


PACKED = {"gzip": gzip.compress, "zstd": zstandard.compress}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
class TestPacked:
    def test_it_is_unpacked_whatever_it_is_called(self, pack, plain, put):
        assert whole(open_source(put(pack(plain), "capture.pcap"))) == plain

    def test_what_several_programs_wrote_one_behind_the_other_is_one_file(self, pack, plain, put):
        assert whole(open_source(put(pack(plain[:99]) + pack(b"") + pack(plain[99:])))) == plain

    @pytest.mark.parametrize("size", [1, 7, 1 << 20])
    def test_it_is_read_in_pieces_of_any_size(self, pack, size, plain, put):
        assert whole(open_source(put(pack(plain))), size) == plain

    def test_a_file_that_ends_too_early_says_so(self, pack, put):
        content = os.urandom(400_000)
        source = open_source(put(pack(content)[:250_000]))
        assert content.startswith(whole(source))
        assert "it ends too early" in source.fault

    def test_a_whole_file_has_no_fault(self, pack, plain, put):
        source = open_source(put(pack(plain)))
        whole(source)
        assert source.fault == ""

    def test_looking_takes_nothing(self, pack, plain, put):
        source = open_source(put(pack(plain)))
        assert source.linktype() == ETHERNET
        assert source.peek(10)[:10] == plain[:10]
        assert whole(source) == plain


def test_spoilt_gzip_gives_what_came_before_and_says_so(put):
    content = os.urandom(100_000)
    packed = bytearray(gzip.compress(content))
    packed[50_000:50_020] = bytes(20)
    source = open_source(put(bytes(packed)))
    found = whole(source)
    assert found != content
    assert "is damaged gzip" in source.fault


def test_zeros_behind_gzip_are_padding(plain, put):
    source = open_source(put(gzip.compress(plain) + bytes(5000)))
    assert (whole(source), source.fault) == (plain, "")


def test_a_small_file_that_unpacks_to_much_is_unpacked_little_by_little(put):
    source = open_source(put(zstandard.compress(bytes(1 << 28))))
    assert source.read(1000) == bytes(1000)
    held = len(source._file._out)  # of 256 MB
    source.close()
    assert held < 1 << 27


def test_without_a_library_zstd_is_named_with_what_to_do(plain, put, monkeypatch):
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(RecordingError, match="compressed with zstd") as caught:
        open_source(put(zstandard.compress(plain)))
    assert "pip install 'conntap[zstd]'" in caught.value.hint
    assert "zstd -dc" in caught.value.hint


class TestLinktype:
    def test_a_capture_has_that_of_its_packets(self, plain, put):
        assert File(put(plain)).linktype == ETHERNET

    def test_a_recording_is_netlink(self, data):
        assert File(data / "recordings/samples.pcapng").linktype == LINKTYPE_NETLINK

    def test_a_capture_without_packets_has_none(self, plain, put):
        assert File(put(plain[:24])).linktype is None

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "is empty"),
            (gzip.compress(b""), "is empty"),
            (b"\xff\xd8\xff\xe0 a picture", "is neither pcap, pcapng"),
        ],
    )
    def test_anything_else_is_refused_by_name(self, content, why, put):
        with pytest.raises(RecordingError, match=f"holiday.jpg {why}"):
            File(put(content, "holiday.jpg"))

    def test_a_pipe_is_waited_for_until_its_first_packet_and_no_longer(self, plain, tmp_path):
        """tcpdump writes the head of the file when it begins, and then nothing until a packet comes."""
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        looked = threading.Event()

        def write() -> None:
            with fifo.open("wb", buffering=0) as pipe:
                pipe.write(plain[:24])
                pipe.write(plain[24:200])
                assert looked.wait(20), "it waits for more than the first packet"
                pipe.write(plain[200:])

        writer = threading.Thread(target=write)
        writer.start()
        file = File(fifo)
        looked.set()
        assert file.linktype == ETHERNET
        assert whole(file.open()) == plain
        writer.join()


class TestFile:
    def test_it_is_read_as_often_as_one_likes(self, plain, put):
        file = File(put(plain))
        assert [whole(file.open()) for _ in range(3)] == [plain] * 3

    def test_standard_input_is_there_once_and_stays_open(self, plain, monkeypatch):
        class Stdin:
            buffer = io.BytesIO(plain)

        monkeypatch.setattr("sys.stdin", Stdin)
        file = File("-")
        assert whole(file.open()) == plain
        assert whole(file.open()) == b""
        assert not Stdin.buffer.closed

    def test_a_missing_file_is_told_at_once(self):
        with pytest.raises(FileNotFoundError):
            File("/no/such/file.pcap")

    def test_closing_lets_go_and_may_be_repeated(self, plain, put):
        file = File(put(plain))
        file.close()
        file.close()
        assert whole(file.open()) == plain


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_where_one_of_several_is_at_fault_none_stays_open(plain, put, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=lambda: (tmp_path / "fifo").write_bytes(plain[:200]))
    writer.start()
    before = open_descriptors()
    with pytest.raises(RecordingError, match="is empty"):
        open_files([tmp_path / "fifo", put(b"")])
    writer.join()
    assert len(open_descriptors()) == len(before)


def test_standard_input_cannot_be_two_files():
    with pytest.raises(UsageError, match="only once"):
        open_files(["-", "x.pcap", "-"])


@pytest.mark.parametrize("content", [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08 no gzip", b"\x28\xb5\x2f\xfd no"])
def test_what_only_begins_like_something_packed_is_refused_and_closed(content, put):
    before = open_descriptors()
    with pytest.raises(RecordingError, match="is damaged"):
        File(put(content))
    assert len(open_descriptors()) == len(before)

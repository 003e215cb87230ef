"""What the service manager hears, from a socket in its place."""

from __future__ import annotations

import array
import os
import socket
import subprocess
import sys
import time

import pytest

from conntap.errors import UsageError
from conntap.systemd import Notifier, taken_back


class Manager:
    """Listens as the service manager does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(5)

    def heard(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")

    def heard_with_descriptors(self) -> tuple[list[str], list[int]]:
        data, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(64))
        descriptors = array.array("i")
        for level, kind, payload in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            descriptors.frombytes(payload)
        return data.decode().split("\n"), descriptors.tolist()

    def silent(self) -> bool:
        self.socket.setblocking(False)
        try:
            return not self.socket.recv(1)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(5)


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    made = Manager(str(tmp_path / "notify") if request.param == "path" else f"@conntap-test-{os.getpid()}")
    yield made
    made.socket.close()


def notifier(manager, **more):
    return Notifier.of_process({"NOTIFY_SOCKET": manager.address, **more})


def test_a_service_s_life(manager):
    tell = notifier(manager)
    assert tell
    tell.ready("listening")
    assert manager.heard() == ["READY=1", "STATUS=listening"]
    tell.status("1,204 flows/s\n0 lost")
    assert manager.heard() == ["STATUS=1,204 flows/s 0 lost"]
    tell.extend(30)
    assert manager.heard() == ["EXTEND_TIMEOUT_USEC=30000000"]
    tell.stopping("draining")
    assert manager.heard() == ["STOPPING=1", "STATUS=draining"]
    assert tell.failed == 0


def test_reloading_tells_the_time_at_which_it_began(manager):
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier(manager).reloading()
    first, second = manager.heard()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= after


def test_the_watchdog_is_fed_at_half_its_time(manager):
    tell = notifier(manager, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))
    assert tell.watched == 30
    for now in (100.0, 101.0, 114.9):
        tell.alive(now)
    assert manager.heard() == ["WATCHDOG=1"]
    assert manager.silent()
    tell.alive(115.0)
    assert manager.heard() == ["WATCHDOG=1"]


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"},
                                  {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}])  # fmt: skip
def test_no_watchdog_is_not_fed(manager, more):
    tell = notifier(manager, **more)
    assert tell.watched is None
    tell.alive()
    assert manager.silent()


def test_descriptors_are_left_and_are_the_same_file(manager, tmp_path):
    with open(tmp_path / "kept", "w+b") as file:
        notifier(manager).store("journal", file.fileno())
        lines, [copy] = manager.heard_with_descriptors()
        assert lines == ["FDSTORE=1", "FDNAME=journal"]
        assert os.path.sameopenfile(copy, file.fileno())
        os.close(copy)
    notifier(manager).remove("journal")
    assert manager.heard() == ["FDSTOREREMOVE=1", "FDNAME=journal"]


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "ä", "x" * 256])
def test_a_name_that_the_manager_would_not_take_is_refused(manager, name):
    with pytest.raises(UsageError, match="is no name for stored descriptors"):
        notifier(manager).store(name, 0)


def test_without_a_manager_nothing_happens():
    tell = Notifier.of_process({"WATCHDOG_USEC": "1000000"})
    assert not tell
    tell.ready()
    tell.alive()
    tell.store("x", 0)
    assert (tell.watched, tell.failed) == (None, 0)


def test_a_manager_that_is_gone_is_counted_and_stops_nothing(tmp_path):
    tell = Notifier.of_process({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    tell.ready()
    assert tell.failed == 1


def test_an_address_that_is_none_is_refused():
    with pytest.raises(UsageError, match="neither a path nor an abstract socket"):
        Notifier.of_process({"NOTIFY_SOCKET": "vsock:2:1234"})


TAKE_BACK = """
import os
os.environ["LISTEN_PID"] = str(os.getpid())
from conntap.systemd import taken_back
for name, descriptors in taken_back().items():
    print(name, [os.read(descriptor, 99).decode() for descriptor in descriptors],
          [os.get_inheritable(descriptor) for descriptor in descriptors])
"""


def test_a_process_that_is_started_again_takes_them_back():
    """As the manager starts it: the descriptors from 3 on, their names in the environment."""
    pipes = [os.pipe() for _ in range(3)]
    for number, (_, end) in enumerate(pipes):
        os.write(end, f"data {number}".encode())
        os.close(end)

    def place() -> None:
        # Above all of them first, so that none is overwritten.
        high = [os.dup2(read, 100 + number) for number, (read, _) in enumerate(pipes)]
        for number, descriptor in enumerate(high):
            os.dup2(descriptor, 3 + number)

    done = subprocess.run(
        [sys.executable, "-c", TAKE_BACK],
        env={**os.environ, "LISTEN_FDS": "3", "LISTEN_FDNAMES": "events:spool:events"},
        close_fds=False,
        preexec_fn=place,
        capture_output=True,
        text=True,
        check=True,
    )
    for read, _ in pipes:
        os.close(read)
    assert done.stdout.splitlines() == [
        "events ['data 0', 'data 2'] [False, False]",
        "spool ['data 1'] [False]",
    ]


@pytest.mark.parametrize("environment", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "2"}, {"LISTEN_PID": "self"}])
def test_what_is_another_process_s_is_not_taken(environment):
    environment = {name: value.replace("self", str(os.getpid())) for name, value in environment.items()}
    assert taken_back(environment) == {}


def test_descriptors_without_a_name_are_unknown(tmp_path):
    with open(tmp_path / "x", "w") as file:
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
        assert taken_back(environment, first=file.fileno()) == {"unknown": [file.fileno()]}

"""Errors say what was tried, why not, and what to do."""

from __future__ import annotations

import errno

import pytest

from conntap import errors


@pytest.mark.parametrize(
    ("number", "kind", "hint"),
    [
        (errno.EPERM, errors.PrivilegeError, "sudo"),
        (errno.ENOENT, errors.NotFoundError, ""),
        (errno.ENODEV, errors.NotFoundError, "ip link"),
        (errno.EPROTONOSUPPORT, errors.UnsupportedError, "modprobe"),
        (errno.EOPNOTSUPP, errors.UnsupportedError, ""),
        (errno.EBUSY, errors.KernelError, ""),
    ],
)
def test_an_errno_becomes_the_class_that_programs_catch(number, kind, hint):
    error = errors.from_errno("reading the flow table", number)
    assert type(error) is kind
    assert error.errno == number
    assert str(error).startswith("reading the flow table: ")
    assert hint in error.hint


@pytest.mark.parametrize(
    ("op", "right"), [("reading the flow table", "CAP_NET_ADMIN"), ("capturing on eth0", "CAP_NET_RAW")]
)
def test_a_missing_privilege_is_named(op, right):
    assert f"needs {right} in this network namespace" in str(errors.from_errno(op, errno.EPERM))


def test_kernel_errors_are_os_errors_with_the_kernels_own_words():
    error = errors.from_errno("creating a flow", errno.ERANGE, "Attribute failed policy validation", 124)
    assert isinstance(error, OSError)
    assert "Attribute failed policy validation" in str(error)
    assert error.offset == 124


def test_wrong_usage_exits_2_and_everything_else_1():
    assert errors.UsageError("x").exit_code == 2
    assert errors.filter_error("x", "tcp", 0, 3, None).exit_code == 2
    assert errors.from_errno("x", errno.EIO).exit_code == 1


def test_a_filter_error_points_at_the_word():
    error = errors.filter_error("unknown word 'dprot'", "tcp and dprot 22", 8, 5, "did you mean 'dport'?")
    assert error.text[error.at : error.at + error.length] == "dprot"
    assert str(error) == "filter: unknown word 'dprot', did you mean 'dport'?"

"""Lines of -R files: words, quotes, limits, and that nothing runs before all is read."""

from __future__ import annotations

import pytest

from conntap.dropin.loadfile import load, split
from conntap.dropin.messages import Stop
from conntap.dropin.output import Output


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-D -p udp\n", ["-D", "-p", "udp"]),
        ("\t -D  \t-F", ["-D", "-F"]),
        ('-l "two words" x', ["-l", "two words", "x"]),
        (r'"a\"b\\c" d\e', ['a"b\\c', "d\\e"]),
        ('-n "" -D', ["-n", "", "-D"]),
        ('pre"mid"post', ["premidpost"]),
        ("   \n", []),
    ],
)
def test_words(line, words):
    assert split(line) == words


@pytest.mark.parametrize(("line", "message"), [("x" * 1024, "Parameter too long!"), ("x " * 255, "too many arguments")])
def test_limits_are_the_originals(line, message):
    with pytest.raises(Stop, match=message) as caught:
        split(line)
    assert caught.value.status == 2
    split(line[:-2])


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("-L", "-L"),
        ("-L dying", "-L"),
        ("-C", "-C"),
        ("-F expect", "-F expect"),
        ("-V", "-V"),
        ("word", "unknown"),
        ("-I expect -p 89 -t 3 -s ::1 -d ::1 --tuple-src ::1 --tuple-dst ::1 --mask-src :: --mask-dst ::", "-C expect"),
    ],
)
def test_other_commands_are_refused_by_name(tmp_path, line, name):
    file = tmp_path / "commands"
    file.write_text(f"# comment\n\n{line}\n")
    with pytest.raises(Stop, match=f"Cannot use command `{name}' with --load-file"):
        load("conntrack", str(file), Output(1))


def test_save_and_another_form_clash_over_lines_too(tmp_path):
    file = tmp_path / "commands"
    file.write_text("-D -o save\n-D -o xml\n")
    with pytest.raises(Stop, match="cannot combine save output"):
        load("conntrack", str(file), Output(1))

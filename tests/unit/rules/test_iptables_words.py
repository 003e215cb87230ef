"""Lines of iptables-save in words and options."""

from __future__ import annotations

import pytest

from conntap.rules.iptables_words import Option, options_of, words_of


def options(line: str) -> list[Option]:
    found, stray = options_of(words_of(line))
    assert stray == []
    return found


class TestWords:
    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("-A INPUT  -j\tACCEPT", ["-A", "INPUT", "-j", "ACCEPT"]),
            ('--comment "two words"', ["--comment", "two words"]),
            (r'--comment "a \"word\" and \\"', ["--comment", 'a "word" and \\']),
            ('--comment ""', ["--comment", ""]),
            ("", []),
        ],
    )
    def test_quotes_hold_words_together(self, line, words):
        assert words_of(line) == words

    def test_an_open_quote_is_told(self):
        with pytest.raises(ValueError, match="not closed"):
            words_of('--comment "half')


class TestOptions:
    def test_the_short_names_stand_for_the_long_ones(self):
        assert options("--protocol tcp --source 10.0.0.1 --in-interface lan --jump DROP") == options(
            "-p tcp -s 10.0.0.1 -i lan -j DROP"
        )

    @pytest.mark.parametrize("line", ["! -s 10.0.0.0/8", "-s ! 10.0.0.0/8"])
    def test_the_exclamation_mark_stands_before_or_behind(self, line):
        assert options(line) == [Option("-s", ("10.0.0.0/8",), negated=True)]

    def test_a_text_that_looks_like_an_option_is_none(self):
        assert options('--comment "-j DROP" -j ACCEPT') == [
            Option("--comment", ("-j DROP",)),
            Option("-j", ("ACCEPT",)),
        ]
        assert options("--log-prefix -x -j LOG") == [Option("--log-prefix", ("-x",)), Option("-j", ("LOG",))]

    def test_a_negative_number_is_a_value(self):
        assert options("--offset -1 -j LOG")[0] == Option("--offset", ("-1",))

    def test_what_belongs_to_no_option_is_kept(self):
        assert options_of(words_of("what -j DROP !")) == ([Option("-j", ("DROP",))], ["what", "!"])

    def test_it_is_written_as_it_was_read(self):
        assert str(options("! --dports 21,22")[0]) == "! --dports 21,22"

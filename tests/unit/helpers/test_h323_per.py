"""Aligned PER is read as X.691 says, with the kernel's habits, and never outside the message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.h323_per import (
    LENGTH,
    OCTET,
    WORD,
    Addition,
    Bits,
    Choice,
    Field,
    FixedOctets,
    LongNumber,
    Malformed,
    Number,
    Opaque,
    Place,
    Reader,
    Seconds,
    Sequence,
    SequenceOf,
    Sized,
    Type,
    Value,
    optional,
    required,
)

NULL = Bits(0)
PORT = Number(2)
ADDRESS = Place(4)


def message(text: str) -> bytes:
    """Bits as 0 and 1, a dot for each bit of padding, hexadecimal octets behind an apostrophe; rest filled with 0."""
    digits = ""
    for word in text.split():
        digits += "".join(f"{octet:08b}" for octet in bytes.fromhex(word[1:])) if word[0] == "'" else word
    digits = digits.replace(".", "0")
    digits += "0" * (-len(digits) % 8)
    return bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits), 8))


def read(kind: Type, text: str, *, keep: bool = True) -> Value:
    value = kind.read(Reader(message(text)), keep=keep)
    assert value is not None
    return value


def end_of(kind: Type, text: str, *, start: str = "") -> int:
    """How many bits it passes over."""
    reader = Reader(message(start + " " + text + " '0000000000000000"))
    reader.skip(len(start))
    kind.read(reader, keep=False)
    return reader.position


@given(st.binary(min_size=1, max_size=9), st.data())
def test_bits_are_taken_from_the_left(data, choose):
    digits = "".join(f"{octet:08b}" for octet in data)
    start = choose.draw(st.integers(0, len(digits)))
    count = choose.draw(st.integers(0, len(digits) - start))
    reader = Reader(data)
    reader.skip(start)
    assert reader.bits(count) == int(digits[start : start + count] or "0", 2)
    assert reader.position == start + count


@pytest.mark.parametrize(
    "move",
    [
        lambda reader: reader.bits(9),
        lambda reader: reader.skip(9),
        lambda reader: reader.need(9),
        lambda reader: reader.need_octets(2),
        lambda reader: reader.length(),
        lambda reader: reader.bitmap(9),
    ],
)
def test_nothing_is_read_behind_the_end(move):
    with pytest.raises(Malformed):
        move(Reader(b"\0\0", 0, 1))


def test_an_octet_that_has_begun_is_not_a_whole_one():
    reader = Reader(b"\0\0")
    reader.skip(1)
    reader.need_octets(1)
    with pytest.raises(Malformed):
        reader.need_octets(2)


@pytest.mark.parametrize(("octets", "length"), [("7f00", 127), ("8080", 128), ("bfff", 16383), ("ffff", 16383)])
def test_a_length_has_one_octet_or_two(octets, length):
    assert Reader(bytes.fromhex(octets)).length() == length


def test_a_length_wants_two_octets_even_where_one_says_it():
    with pytest.raises(Malformed):
        Reader(b"\x00").length()


@given(st.integers(0, 7), st.integers(1, 32), st.binary(min_size=6, max_size=6))
def test_a_bitmap_is_a_number_unless_its_32nd_bit_ends_an_octet(start, count, data):
    reader, plain = Reader(data), Reader(data)
    reader.skip(start)
    plain.skip(0 if start + count == 32 else start)
    assert reader.bitmap(count) == plain.bits(count)
    assert reader.position == start + count


@pytest.mark.parametrize(
    ("kind", "start", "text", "end"),
    [
        (NULL, "1", "", 1),
        (Bits(3), "1", "", 4),
        (Number(1), "1", "", 16),
        (Number(2), "", "", 16),
        (LongNumber(), "1", "10 .....", 32),
        (LongNumber(), "1111111", "00 .......", 24),
        (FixedOctets(16), "1", "'00000000000000000000000000000000", 136),
        (FixedOctets(2), "1", "", 17),
        (Sized(LENGTH), "1", "....... '03", 40),
        (Sized(OCTET), "1", "....... '03", 40),
        (Sized(OCTET, least=1), "1", "....... '01", 32),
        (Sized(OCTET, unit=16, least=1), "1", "....... '01", 48),
        (Sized(WORD, unit=1), "1", "....... '0003", 27),
        (Sized(LENGTH, unit=1), "1", "....... '0b", 27),
        (Sized(7, unit=4, least=1), "1", "0000010", 20),
        (Sized(5, least=1), "1", "00001 ..", 24),
        (Opaque(), "", "'03", 32),
    ],
)
def test_what_nobody_wants_is_passed_over(kind, start, text, end):
    assert end_of(kind, text, start=start) == end


def test_an_address_tells_its_place_in_the_message():
    assert (
        read(Sequence(required("flag", Bits(1)), required("ip", ADDRESS)), "1 ....... '0a000102").parts["ip"].number
        == 1
    )


def test_the_place_counts_from_the_beginning_of_the_data():
    value = ADDRESS.read(Reader(bytes(12), 5, 12), keep=True)
    assert value is not None
    assert value.number == 5


@pytest.mark.parametrize(
    ("octets", "seconds"), [("00 ...... '3b", 60), ("01 ...... '0257", 600), ("11 ...... 'ffffffff", 0)]
)
def test_a_time_to_live_counts_from_one(octets, seconds):
    assert read(Seconds(), octets + " '00000000").number == seconds


def test_behind_a_time_to_live_as_many_octets_must_follow():
    with pytest.raises(Malformed):
        read(Seconds(), "01 ...... '0257 '00")


def test_a_time_to_live_that_nobody_wants_may_be_the_end():
    assert Seconds().read(Reader(message("01 ...... '0257")), keep=False) is None


PERSON = Sequence(
    optional("first", ADDRESS),
    required("flag", Bits(1)),
    optional("second", ADDRESS),
    extensible=True,
    known=3,
    additions={1: Addition("later", ADDRESS)},
)


def test_of_optional_components_the_preamble_says_which_are_there():
    assert read(PERSON, "0 01 1 .... '0a000102").parts.keys() == {"second"}
    assert read(PERSON, "0 11 ..... '0a000102 1 ....... '0a000103").at("second") == Value(number=6)


def test_an_addition_is_an_open_type_behind_a_bitmap_of_its_own():
    value = read(PERSON, "1 00 1 0000010 010 .. '040a000102")
    assert value.at("later") == Value(number=3)


def test_additions_that_nobody_wants_are_passed_over_by_their_length():
    reader = Reader(message("1 00 1 0000010 111 .. '02ffff '0400000000 '01ff '00"))
    PERSON.read(reader, keep=True)
    assert reader.position == 8 * 12


def test_a_newer_addition_is_taken_to_be_there_whatever_the_bitmap_says():
    reader = Reader(message("1 00 1 0000011 0000 . '02ffff '00"))
    PERSON.read(reader, keep=True)
    assert reader.position == 8 * 5


def test_an_addition_may_reach_beyond_its_length_within_the_message():
    reader = Reader(message("1 00 1 0000001 01 ... '010a '000102 '00"))
    assert PERSON.read(reader, keep=True).at("later") == Value(number=3)
    assert reader.position == 8 * 4


def test_there_may_be_32_additions_and_no_more():
    read(PERSON, "1 00 1 0011111 " + "0" * 32 + " ....." + " '00" * 30)
    with pytest.raises(Malformed):
        read(PERSON, "1 00 1 0100000 " + "0" * 33 + " ...." + " '00" * 31)


def test_components_that_are_left_unread_leave_the_position_where_it_is():
    reader = Reader(message("1 101 '0a000102 '0000"))
    Sequence(optional("first", ADDRESS), extensible=True, options=3).read(reader, keep=True)
    assert reader.position == 8 * 5


def test_additions_that_are_left_unread_end_the_sequence():
    kind = Sequence(required("flag", Bits(1)), extensible=True, known=3, unread_from=1)
    reader = Reader(message("1 1 0000010 111 .... '01ff '01ff"))
    kind.read(reader, keep=True)
    assert reader.position == 8 * 4


def test_a_sequence_wants_a_bit_even_where_it_has_none():
    with pytest.raises(Malformed):
        Sequence(required("nothing", NULL)).read(Reader(b""), keep=True)


WAY = Choice(
    Field("road", ADDRESS),
    Field("rail", NULL),
    Field("river", None),
    extensible=True,
    known=2,
    additions={0: Addition("air", ADDRESS), 1: Addition("space", None)},
)


def test_a_choice_tells_which_and_what():
    value = read(WAY, "0 00 ..... '0a000102")
    assert (value.chosen, value.at("road")) == ("road", Value(number=1))


def test_a_later_alternative_is_an_open_type():
    value = read(WAY, "1 0000000 '040a000102")
    assert (value.chosen, value.at("air")) == ("air", Value(number=2))


def test_a_later_alternative_can_be_known_by_name_alone():
    assert read(WAY, "1 0000001 '00") == Value(chosen="space")


def test_an_alternative_newer_than_the_description_has_no_name():
    assert read(WAY, "1 0000111 '01ff") == Value(chosen="")


def test_an_alternative_that_does_not_exist_is_malformed():
    with pytest.raises(Malformed):
        read(WAY, "0 11")


def test_an_alternative_that_is_left_unread_leaves_the_position_where_it_is():
    reader = Reader(message("0 10 ..... '0a000102"))
    assert WAY.read(reader, keep=True).chosen == "river"
    assert reader.position == 3


def test_later_alternatives_can_be_left_unread_too():
    kind = Choice(Field("road", NULL), extensible=True, known=1, unread_additions=True)
    reader = Reader(message("1 0000000 '02ffff"))
    kind.read(reader, keep=True)
    assert reader.position == 8


def test_a_list_has_its_length_before_it():
    named = Sequence(required("ip", ADDRESS), required("port", PORT))
    value = read(SequenceOf(named, limit=5), "'02 '0a00010206b8 '0a00010306b9")
    assert [item.at("ip") for item in value.items] == [Value(number=1), Value(number=7)]


def test_a_list_is_kept_up_to_its_limit_and_read_to_its_end():
    reader = Reader(message("'03 '0a000102 '0a000103 '0a000104"))
    value = SequenceOf(ADDRESS, limit=2).read(reader, keep=True)
    assert value is not None
    assert len(value.items) == 2
    assert reader.position == 8 * 13


def test_items_can_be_open_types():
    value = read(SequenceOf(ADDRESS, limit=2, opened=True), "'02 '050a000102ff '040a000103")
    assert [item.number for item in value.items] == [2, 8]


def test_open_items_of_a_list_that_nobody_wants_are_not_looked_into():
    assert SequenceOf(ADDRESS, opened=True).read(Reader(message("'02 '01ff '01ff")), keep=True) is None


def test_a_path_leads_to_a_value_or_nowhere():
    value = Value(parts={"a": Value(parts={"b": Value(items=[Value(number=1)])})})
    assert value.at("a", "b") == Value(items=[Value(number=1)])
    assert value.at("a", "x", "b") is None
    assert value.all("a", "b") == [Value(number=1)]
    assert value.all("x") == []


def test_items_that_read_on_through_all_that_follows_are_soon_too_many():
    inner = Sequence(required("list", SequenceOf(Choice(Field("something", Bits(8))))))
    kind = SequenceOf(inner, limit=16383, opened=True)
    # Two thousand items of one octet; in each begins a list of 127 parts, which lie in the items behind it.
    data = bytes([0x87, 0xD0]) + bytes([0x01, 0x7F]) * 2000 + bytes(200)
    reader = Reader(data)
    with pytest.raises(Malformed):
        kind.read(reader, keep=True)
    assert reader.position < 8 * 400

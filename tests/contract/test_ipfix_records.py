"""What stands in IPFIX messages: every field of every kind of record, read by another hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conntap import Batch, _core
from flow_messages import (
    ALL,
    DESTROY,
    DNAT,
    DUMPED,
    NEW,
    PING,
    PING6,
    PLAIN6,
    SECOND,
    SNAT,
    SNAT6,
    START_NS,
    TUNNEL,
    batch,
    ended,
    many,
)
from ipfix_reader import OURS, REVERSE, nanoseconds, read

START_MS, STOP_MS = START_NS // 1_000_000, START_NS // 1_000_000 + 5000


def flows_of(*connections, **options):
    exporter = _core.IpfixExporter(**options)
    reader = read(exporter.templates(), exporter.encode(ended(*connections)))
    assert reader.faults == []
    return reader.flows()


def one(connection, **options):
    (record,) = flows_of(connection, **options)
    return record


class TestFlows:
    def test_source_nat(self):
        record = one(SNAT)
        assert record.template == 256
        assert record.domain == 1
        assert record.values | {148: 0} == {
            8: "10.0.0.5", 12: "198.51.100.9", 7: 40_000, 11: 443, 4: 6,
            225: "203.0.113.7", 226: "198.51.100.9", 227: 41_234, 228: 443,
            152: START_MS, 153: STOP_MS,
            1: 1000, 2: 10, (REVERSE, 1): 90_000, (REVERSE, 2): 8,
            136: 3, 239: 1, 148: 0,
        }  # fmt: skip

    def test_destination_nat(self):
        record = one(DNAT)
        assert (record[8], record[12], record[11]) == ("192.0.2.33", "203.0.113.7", 53)
        assert (record[225], record[226], record[227], record[228]) == ("192.0.2.33", "10.0.0.53", 5353, 5300)

    def test_ipv6_without_nat_says_the_same_addresses_twice(self):
        record = one(PLAIN6)
        assert record.template == 257
        assert (record[27], record[28]) == (record[281], record[282]) == ("2001:db8:1::5", "2001:db8:2::80")

    def test_ipv6_with_nat(self):
        record = one(SNAT6)
        assert (record[27], record[281], record[227]) == ("fd00::5", "2001:db8:f::1", 6000)

    @pytest.mark.parametrize(
        ("connection", "element", "said", "template"), [(PING, 32, 8 << 8, 258), (PING6, 139, 128 << 8, 259)]
    )
    def test_icmp_has_type_and_code_and_identifiers(self, connection, element, said, template):
        record = one(connection)
        assert record.template == template
        assert record[element] == said
        assert (record[7], record[227]) == (connection.orig.echo[0], connection.reply.echo[0])
        assert 11 not in record.values

    def test_a_protocol_without_ports_has_none(self):
        record = one(TUNNEL)
        assert record.template == 260
        assert not {7, 11, 227, 228} & set(record.values)

    def test_the_flow_id_is_the_ledgers(self):
        records = ended(SNAT)
        (record,) = read(_core.IpfixExporter().encode(records)).flows()
        assert record[148] == next(iter(records.events())).flow.record.flow_id

    def test_without_accounting_there_are_no_counters(self):
        record = one(replace(SNAT, counters=None))
        assert not {1, 2, (REVERSE, 1), (REVERSE, 2)} & set(record.values)
        assert record[153] == STOP_MS

    def test_nanoseconds_are_exact(self):
        record = one(SNAT, nanoseconds=True)
        assert nanoseconds(record[156]) == START_NS
        assert nanoseconds(record[157]) == START_NS + 5 * SECOND

    def test_extended(self):
        labels = bytes(range(16))
        connection = replace(SNAT, mark=0xC0FFEE, zone=7, helper="ftp", labels=labels)
        record = one(connection, extended=True)
        assert (record[OURS, 1], record[OURS, 3], record[OURS, 4]) == (0xC0FFEE, 0x19E, 7)
        assert record[OURS, 2] == labels
        assert (record[96], record[297], record[OURS, 5], record[OURS, 6]) == ("ftp", 1, 7, 1)
        assert record.template == 256 + 512

    def test_extended_of_a_plain_one(self):
        record = one(PLAIN6, extended=True)
        assert (record[OURS, 1], record[OURS, 2], record[96], record[297]) == (0, b"", "", 6)

    def test_an_end_that_nobody_saw(self):
        """It lies between the last sight of the flow and the dump in which it was missing."""
        ledger = _core.Ledger(grace_ns=0)
        ledger.feed(batch((NEW, SNAT), received_ns=START_NS))
        ledger.begin_dump()
        gone_ns = START_NS + 60 * SECOND
        rows = [ledger.end_dump(START_NS, gone_ns), ledger.feed(Batch.gap("tick", gone_ns, gone_ns + SECOND))]
        exporter = _core.IpfixExporter(extended=True)
        (record,) = read(exporter.encode(Batch.concat(rows))).flows()
        assert record[136] == 0
        assert record[153] == gone_ns // 1_000_000
        assert nanoseconds(record[OURS, 8]) == START_NS


class TestInterims:
    def test_deltas_add_up_to_the_totals(self):
        ledger = _core.Ledger()
        ledger.feed(batch((NEW, SNAT), received_ns=START_NS))
        rows = []
        for at in (1, 2, 3):
            seen = replace(SNAT, counters=(2 * at, 200 * at, at, 20_000 * at))
            ledger.begin_dump()
            now_ns = START_NS + at * 1800 * SECOND
            rows.append(ledger.dump(batch((DUMPED, seen), received_ns=now_ns), now_ns))
            rows.append(ledger.end_dump(now_ns, now_ns))
        rows.append(ledger.feed(batch((DESTROY, SNAT))))
        flows = read(_core.IpfixExporter().encode(Batch.concat(rows))).flows()
        assert [record[136] for record in flows] == [2, 2, 2, 3]
        assert len({record[148] for record in flows}) == 1
        assert [record[2] for record in flows] == [2, 2, 2, 4]
        sums = [sum(record[key] for record in flows) for key in (2, 1, (REVERSE, 2), (REVERSE, 1))]
        assert sums == list(SNAT.counters)

    def test_an_interim_record_ends_when_its_counters_were_read(self):
        ledger = _core.Ledger()
        ledger.feed(batch((NEW, SNAT), received_ns=START_NS))
        ledger.begin_dump()
        now_ns = START_NS + 1800 * SECOND
        (record,) = read(
            _core.IpfixExporter().encode(ledger.dump(batch((DUMPED, SNAT), received_ns=now_ns), now_ns))
        ).flows()
        assert (record[152], record[153]) == (START_MS, now_ns // 1_000_000)


class TestNatEvents:
    def events(self, *connections, **options):
        exporter = _core.IpfixExporter(**options)
        reader = read(exporter.templates(), exporter.encode(ended(*connections, bindings="nat")))
        assert reader.faults == []
        return reader.events()

    def test_a_session_is_created_and_deleted(self):
        created, deleted = self.events(SNAT)
        ends = {8: "10.0.0.5", 12: "198.51.100.9", 7: 40_000, 11: 443, 4: 6}
        post = {225: "203.0.113.7", 226: "198.51.100.9", 227: 41_234, 228: 443}
        flow_id = {148: created[148]}
        assert created.domain == 2
        assert created.values == ends | post | flow_id | {230: 4, 323: START_MS, 152: START_MS, 153: START_MS}
        assert deleted.values == ends | post | flow_id | {230: 5, 323: STOP_MS, 152: START_MS, 153: STOP_MS}

    def test_only_translations_are_told(self):
        assert self.events(PLAIN6, PING6) == []
        assert len(self.events(*ALL)) == 2 * 5

    def test_nat66_has_the_historic_numbers_since_the_rfc_has_none(self):
        assert [event[230] for event in self.events(SNAT6)] == [1, 2]

    def test_historic(self):
        assert [event[230] for event in self.events(SNAT, nat_events="historic")] == [1, 2]

    def test_none(self):
        exporter = _core.IpfixExporter(nat_events="no")
        reader = read(exporter.templates(), exporter.encode(ended(SNAT, bindings="nat")))
        assert reader.events() == []
        assert exporter.counters["bindings_left_out"] == 1
        assert not [number for domain, number in reader.templates if domain == 2]

    def test_icmp(self):
        created, _ = self.events(PING)
        assert (created[7], created[227], created[32]) == (777, 888, 8 << 8)


class TestGaps:
    def test_a_gap_is_a_record(self):
        ledger = _core.Ledger()
        records = ledger.feed(Batch.gap("overrun", START_NS, START_NS + SECOND, 1024))
        exporter = _core.IpfixExporter()
        (record,) = read(exporter.templates(), exporter.encode(records)).records[15:]
        assert (record.domain, record.template) == (1, 2560)
        assert (record[OURS, 9], record[OURS, 10], record[OURS, 6]) == (0, 1024, 1)
        assert nanoseconds(record[OURS, 11]) == START_NS
        assert nanoseconds(record[OURS, 12]) == START_NS + SECOND

    def test_how_many_may_be_unknown(self):
        exporter = _core.IpfixExporter()
        records = _core.Ledger().feed(Batch.gap("restart", START_NS, START_NS + SECOND))
        (record,) = read(exporter.encode(records)).records
        assert record[OURS, 10] == 2**64 - 1

    def test_netflow_has_no_word_for_it(self):
        exporter = _core.IpfixExporter(version=9)
        assert exporter.encode(_core.Ledger().feed(Batch.gap("overrun", START_NS, START_NS, 1))) == []
        assert exporter.counters["gaps_left_out"] == 1


class TestOptions:
    def test_our_elements_are_described(self):
        described = {record[303]: record for record in read(_core.IpfixExporter().templates()).options}
        assert described[1][341] == "conntrackMark"
        assert {record[346] for record in described.values()} == {OURS}
        used = set()
        exporter = _core.IpfixExporter(extended=True)
        for (_, number), template in read(exporter.templates(), exporter.statistics()).templates.items():
            assert number >= 256
            used |= {key[1] for key in list(template.keys()) if isinstance(key, tuple) and key[0] == OURS}
        assert used == set(described)

    def test_statistics(self):
        exporter = _core.IpfixExporter(domain=10)
        ledger = _core.Ledger(bindings="nat")
        rows = [ledger.feed(batch((NEW, SNAT))), ledger.feed(Batch.gap("overrun", START_NS, START_NS, 5))]
        messages = exporter.encode(Batch.concat([*rows, ledger.feed(batch((DESTROY, SNAT)))]))
        told = read(messages, exporter.statistics(not_sent=3)).options
        assert [record.domain for record in told] == [12, 12]
        flows, events = told
        assert (flows[149], flows[41], flows[42], flows[166], flows[OURS, 15], flows[OURS, 6]) == (10, 1, 2, 3, 5, 3)
        assert (events[149], events[41], events[42], events[166]) == (11, 1, 2, 0)
        assert flows[40] + events[40] == sum(map(len, messages))


class TestMessages:
    def test_none_is_longer_than_the_limit(self):
        exporter = _core.IpfixExporter(mtu=512)
        messages = exporter.encode(many(200))
        assert max(map(len, messages)) <= 512
        reader = read(messages)
        assert reader.faults == []
        assert len(reader.flows()) == len(reader.events()) == 200
        assert len(messages) <= 41 + 30  # 5 flows or 7 events fit into each

    def test_sequence_numbers_count_records_of_each_domain(self):
        exporter = _core.IpfixExporter()
        calls = [exporter.templates()]
        for _ in range(3):
            calls += [exporter.encode(many(40)), exporter.statistics(), exporter.templates()]
        reader = read(*calls)
        assert reader.faults == []
        assert reader.expected == {1: 120, 2: 120, 3: 4 * 15 + 3 * 2}

    def test_a_new_session_counts_from_zero_and_announces_again(self):
        exporter = _core.IpfixExporter()
        exporter.encode(many(10))
        exporter.restart()
        assert exporter.announced == 0
        assert read(exporter.encode(many(10))).faults == []
        assert exporter.counters["flows"] == 20

    def test_the_time_is_the_callers(self):
        exporter = _core.IpfixExporter()
        assert set(read(exporter.encode(many(1), 1_800_000_000 * SECOND + 5)).times) == {1_800_000_000}

    def test_rows_that_are_no_records_are_counted(self):
        exporter = _core.IpfixExporter()
        assert exporter.encode(batch((NEW, SNAT), (DESTROY, SNAT))) == []
        assert exporter.counters["other"] == 2

    @pytest.mark.parametrize("options", [{"mtu": 511}, {"mtu": 65_536}, {"version": 5}, {"nat_events": "some"}])
    def test_what_cannot_be_is_refused(self, options):
        from conntap.errors import UsageError

        with pytest.raises(UsageError):
            _core.IpfixExporter(**options)


class TestNetFlow9:
    def test_every_form(self):
        exporter = _core.IpfixExporter(version=9)
        reader = read(exporter.templates(), exporter.encode(ended(*ALL, bindings="nat")))
        assert reader.faults == []
        assert len(reader.flows()) == len(ALL)
        first = reader.flows()[0]
        assert 148 not in first.values  # to collectors of NetFlow v9 it makes a firewall's event of a flow
        assert (first[1], first[2], first[23], first[24]) == (1000, 10, 90_000, 8)
        assert len(reader.events()) == 10

    def test_messages_are_counted_not_records(self):
        exporter = _core.IpfixExporter(version=9, mtu=512)
        reader = read(exporter.encode(many(100)), exporter.encode(many(100)))
        assert reader.faults == []
        assert reader.expected[1] < 200

    def test_there_are_no_statistics(self):
        assert _core.IpfixExporter(version=9).statistics() == []

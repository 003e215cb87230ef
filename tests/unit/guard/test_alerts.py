"""Alerts reach files, syslog, webhooks and programs, or are counted."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from conntap.errors import UsageError
from conntap.guard import alerts as module
from conntap.guard.alerts import Alerts
from conntap.guard.metrics import Metrics
from conntap.guard.policy import Actions

TOLD = {"helper": "irc", "dport": 22, "reason": "no; rm -rf /"}


def sent(*targets, command=(), told=TOLD, times=1):
    metrics = Metrics()
    alerts = Alerts(Actions(on_deny=("alert",), alert=targets, command=command, timeout_seconds=2.0), metrics)
    for _ in range(times):
        alerts.send(told)
    alerts.close()
    return metrics.counts


def test_a_file(tmp_path):
    counts = sent(f"jsonl:{tmp_path}/alerts", times=2)
    assert [json.loads(line) for line in (tmp_path / "alerts").read_text().splitlines()] == [TOLD, TOLD]
    assert (counts["alerts"], counts["alerts_failed"]) == (2, 0)


def test_a_file_that_cannot_be_written_is_told_at_once(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        sent(f"jsonl:{tmp_path}/no/alerts")


def test_syslog(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(5)
        sent(f"syslog:{tmp_path}/log")
        text = log.recv(4096).decode()
    assert text.startswith("<28>conntap-guard[")
    assert json.loads(text.partition(": ")[2]) == TOLD


def test_a_webhook():
    got = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        counts = sent(f"http://127.0.0.1:{server.server_port}/hook")
        thread.join()
    assert got == [TOLD]
    assert counts["alerts"] == 1


def test_a_program_gets_words_and_no_shell(tmp_path):
    sent(command=("sh", "-c", f'printf "%s" "$CONNTAP_REASON" > {tmp_path}/out'))
    assert (tmp_path / "out").read_text() == "no; rm -rf /"


def test_what_nobody_takes_is_counted(tmp_path):
    counts = sent(f"syslog:{tmp_path}/none", "http://127.0.0.1:1/", command=("false",))
    assert (counts["alerts"], counts["alerts_failed"]) == (0, 3)


def test_what_does_not_fit_is_counted(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "MOST", 1)
    counts = sent(command=("sleep", "0"), times=50)
    assert counts["alerts"] + counts["alerts_dropped"] == 50

"""An audit as one JSON object."""

import json

from conntap.audit.baseline import Accepted, compare
from conntap.audit.document import as_document
from conntap.audit.run import audit
from gateways import gateway


def test_everything_that_the_text_says():
    audited = audit(gateway("irc"))
    document = json.loads(json.dumps(as_document(audited, compare(audited.findings, []), 1)))
    assert document["inside"] == ["lan"]
    assert document["status"] == 1
    (one,) = document["findings"]
    assert one["id"] == "A005"
    assert one["severity"] == "high"
    assert one["evidence"][0]["chain"] == "pre"
    assert one["reach"] == [
        {
            "helper": "irc",
            "nfproto": 4,
            "l4proto": 6,
            "from": "wan",
            "to": "lan",
            "ports": [[1024, 65535]],
            "by": "stranger",
        }
    ]
    assert one["docs"] == "docs/audit.md#a005"


def test_accepted_and_stale_have_their_reasons():
    audited = audit(gateway("irc"))
    compared = compare(audited.findings, [Accepted("A005", "irc", "bot"), Accepted("A012", "tcp_loose", "old")])
    document = as_document(audited, compared, 0)
    assert not document["findings"]
    assert document["accepted"][0]["reason"] == "bot"
    assert document["stale"] == [{"id": "A012", "key": "tcp_loose", "reason": "old"}]

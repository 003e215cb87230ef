//! Invariant: any datagram scans without panic; each kept row decodes again, its unknown attributes can be walked to
//! the end, and what it encodes to decodes and encodes to the same bytes.

use conntap_core::batch::{Batch, Scan};
use conntap_core::model::{Content, Kind};
use conntap_core::wire::{Message, Messages, Writer};

pub fn run(data: &[u8]) {
    let (mut batch, mut scan) = (Batch::default(), Scan::default());
    batch.append(data, 1, &mut |_, _, _| true, &mut scan);
    assert_eq!(batch.len() as u64, scan.kept);
    assert_eq!(scan.filtered, 0);
    // What is no row is a control, statistics, foreign, refused, or a NOOP.
    let met = Messages::new(data).count() as u64;
    let told = scan.kept + scan.controls.len() as u64 + scan.stats.len() as u64 + scan.foreign + scan.malformed_total();
    assert!(told <= met, "{told} of {met}");
    assert_eq!(scan.malformed_total() > 0, scan.sample.is_some());

    let mut rows = 0;
    for (row, message, content) in batch.iter() {
        rows += 1;
        // Each attribute has four bytes at least: more of them than that is an endless walk.
        let most = message.body.len() / 4;
        match &content {
            Content::Flow(flow) => assert!(flow.unknown().count() <= most),
            Content::Expectation(expectation) => assert!(expectation.unknown().count() <= most),
            Content::Gap(_) => {}
        }
        // A nest longer than its 16-bit length cannot be written; the kernel makes none.
        if message.body.len() < 16_384 {
            let once = write(row.kind, &message, &content);
            let again = Message::parse(&once).expect("what was written is a message");
            let content = Content::decode(row.kind, &again).expect("what was written decodes");
            assert_eq!(once, write(row.kind, &again, &content));
        }
    }
    assert_eq!(rows, batch.len());
}

fn write(kind: Kind, message: &Message<'_>, content: &Content<'_>) -> Vec<u8> {
    let mut writer = Writer::new(message.kind, message.flags, message.seq, message.port, 0, 0, 0);
    match content {
        Content::Flow(flow) => flow.write(&mut writer),
        Content::Expectation(expectation) => expectation.write(&mut writer),
        Content::Gap(gap) => {
            assert_eq!(kind, Kind::Gap);
            return gap.encode();
        }
    }
    writer.finish()
}

//! The signs of human lines, in Unicode and in ASCII, and their colours.

use crate::model::Kind;

/// ANSI colour parameters.
pub(in crate::text) const ALARM: &str = "1;31";
const BEGAN: &str = "32";
const CHANGED: &str = "33";
const ENDED: &str = "31";
const EXPECTED: &str = "35";

/// One set of signs.
pub(in crate::text) struct Signs {
    began: &'static str,
    changed: &'static str,
    ended: &'static str,
    expected: &'static str,
    unexpected: &'static str,
    none: &'static str,
    gap: &'static str,
    /// From initiator to responder.
    pub to: &'static str,
    /// The other way round, in tables.
    pub from: &'static str,
    /// What NAT makes of an address.
    pub nat: &'static str,
    /// Bytes from inside to outside, and back.
    pub up: &'static str,
    pub down: &'static str,
    /// "See the lines above".
    pub above: &'static str,
}

pub(in crate::text) const UNICODE: Signs = Signs {
    began: "+",
    changed: "~",
    ended: "−",
    expected: "⊕",
    unexpected: "⊖",
    none: " ",
    gap: "!",
    to: "→",
    from: "←",
    nat: "⇒",
    up: "↑",
    down: "↓",
    above: "↑",
};

pub(in crate::text) const ASCII: Signs = Signs {
    began: " + ",
    changed: " ~ ",
    ended: " - ",
    expected: "(+)",
    unexpected: "(-)",
    none: "   ",
    gap: " ! ",
    to: "->",
    from: "<-",
    nat: "=>",
    up: "up",
    down: "down",
    above: "above",
};

impl Signs {
    /// Sign and colour of a row.
    pub fn kind(&self, kind: Kind) -> (&'static str, &'static str) {
        match kind {
            Kind::Entry | Kind::ExpEntry | Kind::Open => (self.none, ""),
            Kind::New | Kind::Binding => (self.began, BEGAN),
            Kind::Update | Kind::ExpUpdate | Kind::Interim => (self.changed, CHANGED),
            Kind::Destroy | Kind::Flow => (self.ended, ENDED),
            Kind::ExpNew => (self.expected, EXPECTED),
            Kind::ExpDestroy => (self.unexpected, EXPECTED),
            Kind::Gap => (self.gap, ALARM),
        }
    }
}

/// Writes in colour, or not.
#[derive(Clone, Copy)]
pub(in crate::text) struct Paint {
    pub on: bool,
}

impl Paint {
    pub fn painted(self, out: &mut Vec<u8>, colour: &str, inside: impl FnOnce(&mut Vec<u8>)) {
        let on = self.on && !colour.is_empty();
        if on {
            out.extend_from_slice(b"\x1b[");
            out.extend_from_slice(colour.as_bytes());
            out.push(b'm');
        }
        inside(out);
        if on {
            out.extend_from_slice(b"\x1b[0m");
        }
    }
}

//! What NAT did to a connection, by its two tuples.

use super::Flow;

impl Flow<'_> {
    /// What NAT did, by the tuples and not by status bits, which are set without NAT too:
    /// `snat`, `dnat` or `snat,dnat`; None where nothing.
    #[must_use]
    pub fn nat_kind(&self) -> Option<&'static str> {
        let plain = self.orig.mirrored();
        // An end that nobody told of (records of other exporters may lack destinations) is not translated.
        let source = self.reply.dst.is_some()
            && ((self.reply.dst, self.reply.dport) != (plain.dst, plain.dport) || self.reply.icmp_id != plain.icmp_id);
        let destination = self.reply.src.is_some() && (self.reply.src, self.reply.sport) != (plain.src, plain.sport);
        match (source, destination) {
            (false, false) => None,
            (true, false) => Some("snat"),
            (false, true) => Some("dnat"),
            (true, true) => Some("snat,dnat"),
        }
    }
}

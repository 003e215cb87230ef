//! Why a fragment was dropped.

/// Why the kernel's reassembly drops a fragment. Each has a counter name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FragmentError {
    /// It overlaps others without lying within them; the whole datagram is given up (RFC 5722, in IPv4 as well).
    Overlap,
    /// All of it is there already; the datagram stays.
    Duplicate,
    /// It contradicts the datagram's end. IPv4 gives the datagram up, IPv6 drops this fragment only.
    End,
    /// It has no data. IPv4 gives the datagram up, IPv6 drops this fragment only.
    Empty,
    /// The datagram would be longer than the length field can say.
    TooLong,
    /// ECN bits that cannot come from one datagram (RFC 3168, 5.3); the datagram is given up.
    Ecn,
    /// Too many bytes wait for their datagrams to be completed.
    Memory,
}

impl FragmentError {
    /// All counter names, in the order in which they are reported.
    pub const COUNTERS: [&'static str; 7] = [
        "fragment_overlap",
        "fragment_duplicate",
        "fragment_bad_end",
        "fragment_empty",
        "fragment_too_long",
        "fragment_bad_ecn",
        "fragment_memory",
    ];

    /// The position of this error's counter in [`Self::COUNTERS`].
    #[must_use]
    pub fn counter(self) -> usize {
        match self {
            Self::Overlap => 0,
            Self::Duplicate => 1,
            Self::End => 2,
            Self::Empty => 3,
            Self::TooLong => 4,
            Self::Ecn => 5,
            Self::Memory => 6,
        }
    }
}

impl std::fmt::Display for FragmentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Overlap => "a fragment overlaps others: the datagram is given up",
            Self::Duplicate => "a fragment that is there already",
            Self::End => "a fragment contradicts the end of its datagram",
            Self::Empty => "a fragment without data",
            Self::TooLong => "a datagram longer than IP allows",
            Self::Ecn => "fragments with ECN bits that exclude each other",
            Self::Memory => "too many fragments wait for others",
        })
    }
}

impl std::error::Error for FragmentError {}

//! Which flows ended lately: an end that is told twice, and a dump's entry that ended meanwhile, are known by it.

const PLACES: usize = 1 << 16;
/// Seen: some ten nanoseconds.
const LATE_NS: i64 = 100_000;

/// One place for each of 65,536 parts of the hashes; a later end takes an earlier one's place.
#[derive(Debug, Default)]
pub struct Ended(Vec<(u64, i64, i64)>);

impl Ended {
    fn place(hash: u64) -> usize {
        usize::try_from(hash & 0xffff).unwrap_or_default()
    }

    pub fn add(&mut self, hash: u64, start_ns: i64, stop_ns: i64) {
        if self.0.is_empty() {
            self.0.resize(PLACES, (0, 0, 0));
        }
        if let Some(place) = self.0.get_mut(Self::place(hash)) {
            *place = (hash, start_ns, stop_ns);
        }
    }

    /// Did the flow of this tuple and beginning end lately? Never by chance: tuple, id and beginning are the same.
    pub fn holds(&self, hash: u64, start_ns: i64) -> bool {
        self.0.get(Self::place(hash)).is_some_and(|known| (known.0, known.1) == (hash, start_ns))
    }

    /// Did the flow whose beginning is told now end already? Two processors may tell beginning and end in either order;
    /// the time of this beginning then lies within its life, or right behind it, for the kernel may note it that late. Of
    /// a flow that really began so soon only the early word is lost: its end is a record all the same.
    pub fn outran(&self, hash: u64, start_ns: i64) -> bool {
        self.0
            .get(Self::place(hash))
            .is_some_and(|known| known.0 == hash && (known.1..=known.2.saturating_add(LATE_NS)).contains(&start_ns))
    }
}

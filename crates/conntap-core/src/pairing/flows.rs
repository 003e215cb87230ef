//! The connections that have been seen on both sides, and where each of their packets comes and goes.

use hashbrown::HashTable;

use crate::engine::key::Key;

/// How one connection passes the gateway: what a table of bindings tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The tuple of the first packet as it arrived.
    pub original: Key,
    /// The same packet's tuple as it left. Its inverse is the connection's reply tuple.
    pub left: Key,
    /// By which inputs.
    pub came_by: u32,
    pub went_by: u32,
    /// When the first packet arrived, on the clock of the reference input.
    pub since_ns: i64,
    /// Packets found on both sides, both directions.
    pub pairs: u64,
    /// Pairs whose payload was rewritten between the sides.
    pub rewritten: u64,
    /// By how many bytes rewriting has lengthened (or shortened) payload altogether.
    pub grown: i64,
    /// Others had fitted as well: the nearest was taken.
    pub ambiguous: bool,
}

impl Binding {
    /// Whether anything is translated.
    #[must_use]
    pub fn is_translated(&self) -> bool {
        self.original != self.left
    }

    /// Whether the source's address or port (ICMP: the id) is translated.
    #[must_use]
    pub fn source_differs(&self) -> bool {
        (self.original.src, self.original.sport) != (self.left.src, self.left.sport)
    }

    /// Whether the destination's address or port is translated.
    #[must_use]
    pub fn destination_differs(&self) -> bool {
        (self.original.dst, self.original.dport) != (self.left.dst, self.left.dport)
    }
}

/// What a packet with a known tuple does at the input where it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Arrives, in the binding's direction.
    Arrival,
    Departure,
    /// Arrives, in the other direction.
    ReplyArrival,
    ReplyDeparture,
}

impl Role {
    const ALL: [Self; 4] = [Self::Arrival, Self::Departure, Self::ReplyArrival, Self::ReplyDeparture];

    fn index(self) -> u32 {
        match self {
            Self::Arrival => 0,
            Self::Departure => 1,
            Self::ReplyArrival => 2,
            Self::ReplyDeparture => 3,
        }
    }

    /// What the same packet does on the other side.
    pub fn twin(self) -> Self {
        match self {
            Self::Arrival => Self::Departure,
            Self::Departure => Self::Arrival,
            Self::ReplyArrival => Self::ReplyDeparture,
            Self::ReplyDeparture => Self::ReplyArrival,
        }
    }

    pub fn is_reply(self) -> bool {
        matches!(self, Self::ReplyArrival | Self::ReplyDeparture)
    }

    pub fn arrives(self) -> bool {
        matches!(self, Self::Arrival | Self::ReplyArrival)
    }
}

/// A connection and what matching needs to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub binding: Binding,
    pub last_ns: i64,
    /// Another has taken its place.
    pub replaced: bool,
    /// It was a guess, and a wrong one.
    pub withdrawn: bool,
}

impl Bound {
    /// Input and tuple of its packets of a role; None where the tuple has no answer.
    fn place(&self, role: Role) -> Option<(u32, Key)> {
        let Binding { original, left, came_by, went_by, .. } = self.binding;
        Some(match role {
            Role::Arrival => (came_by, original),
            Role::Departure => (went_by, left),
            Role::ReplyArrival => (went_by, left.inverse()?),
            Role::ReplyDeparture => (came_by, original.inverse()?),
        })
    }
}

/// All connections, by what their packets look like where.
#[derive(Debug)]
pub struct Flows {
    seed: [u64; 2],
    list: Vec<Bound>,
    /// Number in the list × 4 + role.
    index: HashTable<u32>,
    limit: usize,
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Flows {
    /// Room for `limit` connections at most.
    pub fn new(seed: [u64; 2], limit: usize) -> Self {
        // A number has two bits for the role.
        Self { seed, list: Vec::new(), index: HashTable::new(), limit: limit.min(1 << 29) }
    }

    pub fn get(&self, number: u32) -> Option<&Bound> {
        self.list.get(at(number))
    }

    pub fn get_mut(&mut self, number: u32) -> Option<&mut Bound> {
        self.list.get_mut(at(number))
    }

    /// In order of their first pairs.
    pub fn iter(&self) -> impl Iterator<Item = &Bound> {
        self.list.iter()
    }

    /// Whose packet has this tuple at this input, and what it does there.
    #[inline]
    pub fn find(&self, input: u32, key: &Key) -> Option<(u32, Role)> {
        let same = |entry: &u32| place_of(&self.list, *entry).is_some_and(|place| place == (input, *key));
        let entry = *self.index.find(hash(input, key, self.seed), same)?;
        Some((entry >> 2, role_of(entry)?))
    }

    /// Enter a connection; it takes the place of those whose tuples it has. None: there is no room.
    pub fn enter(&mut self, bound: Bound) -> Option<u32> {
        if self.list.len() >= self.limit {
            return None;
        }
        let number = u32::try_from(self.list.len()).ok()?;
        self.list.push(bound);
        for role in Role::ALL {
            let Some((input, key)) = bound.place(role) else { continue };
            let entry = number << 2 | role.index();
            let code = hash(input, &key, self.seed);
            let Self { seed, list, index, .. } = self;
            let same = |entry: &u32| place_of(list, *entry).is_some_and(|place| place == (input, key));
            if let Some(known) = index.find_mut(code, same) {
                let old = std::mem::replace(known, entry) >> 2;
                if old != number
                    && let Some(old) = list.get_mut(at(old))
                {
                    old.replaced = true;
                }
            } else {
                let rehash = |entry: &u32| place_of(list, *entry).map_or(0, |(input, key)| hash(input, &key, *seed));
                index.insert_unique(code, entry, rehash);
            }
        }
        Some(number)
    }
}

fn role_of(entry: u32) -> Option<Role> {
    Role::ALL.get(at(entry & 3)).copied()
}

fn place_of(list: &[Bound], entry: u32) -> Option<(u32, Key)> {
    list.get(at(entry >> 2))?.place(role_of(entry)?)
}

fn hash(input: u32, key: &Key, [first, second]: [u64; 2]) -> u64 {
    key.hash([first ^ u64::from(input), second])
}

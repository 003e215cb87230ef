//! `connlabel.conf`: names of connection labels.

use std::collections::HashMap;

/// Numbers and names of labels, as the file of `conntrack` and `nft` says them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelMap {
    /// Index = number; empty = no name.
    names: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, u16>,
}

impl LabelMap {
    /// The file's usual place.
    pub const PATH: &'static str = "/etc/xtables/connlabel.conf";
    /// The largest number that the file may name; the kernel keeps 0…127.
    pub const MAX: u16 = 1023;

    /// Read the file's text: a line is `NUMBER NAME`, `#` begins a comment; lines of any other form are skipped.
    /// The first line of a number, and of a name, counts.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut map = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let (Some(number), Some(name)) = (words.next(), words.next()) else { continue };
            if let Some(number) = number_of(number) {
                map.add(number, name);
            }
        }
        map
    }

    fn add(&mut self, number: u16, name: &[u8]) {
        let at = usize::from(number);
        if self.numbers.contains_key(name) {
            return;
        }
        if self.names.len() <= at {
            self.names.resize(at.saturating_add(1), Vec::new());
        }
        if let Some(slot) = self.names.get_mut(at)
            && slot.is_empty()
        {
            *slot = name.to_vec();
            self.numbers.insert(name.to_vec(), number);
        }
    }

    /// The name of label `number`.
    #[must_use]
    pub fn name(&self, number: u16) -> Option<&[u8]> {
        self.names.get(usize::from(number)).map(Vec::as_slice).filter(|name| !name.is_empty())
    }

    /// The number of the label called `name`.
    #[must_use]
    pub fn number(&self, name: &[u8]) -> Option<u16> {
        self.numbers.get(name).copied()
    }

    /// Named labels, in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        (0..=Self::MAX).filter_map(|number| self.name(number).map(|name| (number, name)))
    }
}

fn number_of(word: &[u8]) -> Option<u16> {
    let word = std::str::from_utf8(word).ok()?;
    let number = match word.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok()?,
        None => word.parse().ok()?,
    };
    (number <= LabelMap::MAX).then_some(number)
}

/// The numbers of the bits that are set. The attribute is an array of 32-bit words in host order.
pub fn set_bits(labels: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let words = labels.chunks_exact(4).map(|word| word.first_chunk::<4>().map_or(0, |word| u32::from_ne_bytes(*word)));
    (0u16..).step_by(32).zip(words).flat_map(|(first, word)| {
        (0u16..32)
            .filter(move |bit| word.wrapping_shr((*bit).into()) & 1 == 1)
            .map(move |bit| first.saturating_add(bit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_skipped() {
        let map = LabelMap::parse(b"# names\n1 red\n 2\tgreen # not blue\n\n3\nx y\n2000 far\n1 again\n0x7f last");
        let names: Vec<_> = map.iter().collect();
        assert_eq!(names, [(1, &b"red"[..]), (2, b"green"), (127, b"last")]);
        assert_eq!((map.number(b"green"), map.number(b"blue"), map.name(3)), (Some(2), None, None));
    }

    #[test]
    fn bits_count_through_host_order_words() {
        let mut labels = [0; 16];
        labels[..4].copy_from_slice(&0b101u32.to_ne_bytes());
        labels[12..].copy_from_slice(&(1u32 << 31).to_ne_bytes());
        assert_eq!(set_bits(&labels).collect::<Vec<_>>(), [0, 2, 127]);
        assert_eq!(set_bits(&labels[..3]).count(), 0);
    }
}

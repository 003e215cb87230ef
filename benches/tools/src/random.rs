//! Numbers that look random and are the same in every run: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// 0 … `limit` - 1.
    pub fn below(&mut self, limit: u32) -> u32 {
        // The upper half of a product of 32-bit numbers: it fits.
        (((self.next() >> 32) * u64::from(limit)) >> 32) as u32
    }

    pub fn percent(&mut self, share: u32) -> bool {
        self.below(100) < share
    }

    /// 1, 2, …: geometric with this mean.
    pub fn geometric(&mut self, mean: f64) -> u32 {
        let uniform = ((self.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        (1.0 - uniform.ln() * (mean - 1.0)) as u32
    }
}

/// A bijection without visible pattern.
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

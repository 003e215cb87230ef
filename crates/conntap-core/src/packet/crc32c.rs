//! CRC32c (Castagnoli), the checksum of SCTP (RFC 9260, appendix A): eight bytes a step, by tables.

/// The polynomial 0x1edc6f41, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `TABLES[n][byte]`: what a byte does to the remainder with `n` more bytes behind it.
static TABLES: [[u32; 256]; 8] = tables();

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // at compile time; iterators are not const
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            remainder = if remainder & 1 != 0 { (remainder >> 1) ^ POLYNOMIAL } else { remainder >> 1 };
            bit += 1;
        }
        tables[0][byte] = remainder;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// The CRC32c of the pieces, one behind the other.
pub(super) fn crc32c(pieces: &[&[u8]]) -> u32 {
    !pieces.iter().fold(u32::MAX, |remainder, piece| add(remainder, piece))
}

fn add(mut remainder: u32, bytes: &[u8]) -> u32 {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
    let (words, rest) = bytes.as_chunks::<8>();
    for [b0, b1, b2, b3, b4, b5, b6, b7] in words {
        let [r0, r1, r2, r3] = (remainder ^ u32::from_le_bytes([*b0, *b1, *b2, *b3])).to_le_bytes();
        remainder = entry(t7, r0)
            ^ entry(t6, r1)
            ^ entry(t5, r2)
            ^ entry(t4, r3)
            ^ entry(t3, *b4)
            ^ entry(t2, *b5)
            ^ entry(t1, *b6)
            ^ entry(t0, *b7);
    }
    for byte in rest {
        let [low, ..] = remainder.to_le_bytes();
        remainder = (remainder >> 8) ^ entry(t0, low ^ byte);
    }
    remainder
}

#[inline]
fn entry(table: &[u32; 256], byte: u8) -> u32 {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_3720_appendix_b_4() {
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&[&[0; 32]]), 0x8a91_36aa);
        assert_eq!(crc32c(&[&[0xff; 32]]), 0x62a8_ab43);
        assert_eq!(crc32c(&[&rising]), 0x46dd_794e);
        assert_eq!(crc32c(&[b"1234", b"56789"]), 0xe306_9283);
    }
}

//! Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3"
//! (SC 2011): a block of four 32-bit words is a function of a counter of 128 bits and a key of 64.

/// The multipliers of a round, and what the key grows by before the next: the paper's, chosen for how they mix.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The four words of a counter and a key.
#[inline]
pub(super) fn block(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut a, mut b, mut c, mut d], [mut k, mut l]) = (counter, key);
    for _ in 0..10 {
        let x = u64::from(MULTIPLIERS[0]) * u64::from(a);
        let y = u64::from(MULTIPLIERS[1]) * u64::from(c);
        (a, b, c, d) = (
            (y >> 32) as u32 ^ b ^ k,
            y as u32,
            (x >> 32) as u32 ^ d ^ l,
            x as u32,
        );
        k = k.wrapping_add(STEPS[0]);
        l = l.wrapping_add(STEPS[1]);
    }
    [a, b, c, d]
}

/// The same in C: block `i` of a draw, for a key.
pub(super) const TEXT: &str = r"
typedef struct { u32 w0, w1, w2, w3; } Words;

DEVICE Words philox(u64 i, u64 draw, u64 key) {
    Words x;
    x.w0 = (u32)i; x.w1 = (u32)(i >> 32); x.w2 = (u32)draw; x.w3 = (u32)(draw >> 32);
    u32 k = (u32)key, l = (u32)(key >> 32);
    for (int round = 0; round < 10; round++) {
        u64 p = (u64)0xD2511F53u * x.w0, q = (u64)0xCD9E8D57u * x.w2;
        Words y;
        y.w0 = (u32)(q >> 32) ^ x.w1 ^ k;
        y.w1 = (u32)q;
        y.w2 = (u32)(p >> 32) ^ x.w3 ^ l;
        y.w3 = (u32)p;
        x = y;
        k += 0x9E3779B9u;
        l += 0xBB67AE85u;
    }
    return x;
}

DEVICE u64 both(u32 low, u32 high) { return (u64)high << 32 | low; }
";

#[cfg(test)]
mod tests {
    use super::block;

    /// The known answers of the authors' distribution, Random123 (`kat_vectors`).
    #[test]
    fn known_answers_are_met() {
        assert_eq!(
            block([0; 4], [0; 2]),
            [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]
        );
        assert_eq!(
            block([u32::MAX; 4], [u32::MAX; 2]),
            [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]
        );
        // The first digits of π.
        assert_eq!(
            block(
                [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344],
                [0xA409_3822, 0x299F_31D0]
            ),
            [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1]
        );
    }
}

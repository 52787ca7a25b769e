//! SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): a counter and a mixing
//! function. For ids that must differ and be reproducible from a seed; not for secrets.

/// What the counter, which begins at the seed, grows by before each number.
pub const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

/// Number `n`, from 0, of the generator with this seed.
pub const fn nth(seed: u64, n: u64) -> u64 {
    let counter = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(INCREMENT));
    let z = (counter ^ (counter >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What <https://prng.di.unimi.it/splitmix64.c> returns with the seed 1234567.
    #[test]
    fn numbers_are_those_of_the_reference_implementation() {
        assert_eq!(nth(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(nth(1_234_567, 1), 3_203_168_211_198_807_973);
        assert_eq!(nth(1_234_567_u64.wrapping_add(INCREMENT), 0), nth(1_234_567, 1));
    }
}

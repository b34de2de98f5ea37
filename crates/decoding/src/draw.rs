//! The random number of one draw: a function of seed, row, sequence and step, and of nothing else.
//!
//! There is no generator that draws follow one another in, so batch size, order, threads and a resumed run
//! cannot change one. BLAKE3 is fixed by its specification, so neither can a library's new release.

/// Names one draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DrawKey<'a> {
    /// The prompt's id.
    pub id: &'a str,
    /// Which of the prompt's sequences, from 0.
    pub sequence: u32,
    /// Which of the sequence's generated tokens, from 0.
    pub step: u32,
}

/// Evenly in (0, 1), never either end: the first 52 bits of BLAKE3(seed ‖ sequence ‖ step ‖ id), integers
/// little-endian, id in UTF-8, centred in their cell.
pub(crate) fn uniform(seed: u64, key: &DrawKey<'_>) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&key.sequence.to_le_bytes());
    hasher.update(&key.step.to_le_bytes());
    hasher.update(key.id.as_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    ((u64::from_le_bytes(bytes) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seed: u64, id: &str, sequence: u32, step: u32) -> f64 {
        uniform(seed, &DrawKey { id, sequence, step })
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let plain = at(1, "a", 0, 0);
        assert_eq!(plain, at(1, "a", 0, 0));
        let others = [at(2, "a", 0, 0), at(1, "b", 0, 0), at(1, "", 0, 0), at(1, "a", 1, 0), at(1, "a", 0, 1)];
        assert!(others.iter().all(|u| *u != plain), "{others:?}");
        assert_ne!(at(1, "a", 0, 1), at(1, "a", 1, 0));
    }

    #[test]
    fn old_numbers_stay_what_they_were() {
        // Of this crate's first version, and of a second implementation (tests/peers/expected_processors.py).
        // If this fails, old runs cannot be repeated: do not change the numbers.
        assert_eq!(at(0, "", 0, 0), 0.044_677_981_169_000_236);
        assert_eq!(at(7, "a", 0, 1), 0.654_832_563_055_486_2);
        assert_eq!(at(u64::MAX, "天气", 2, 49), 0.608_736_395_960_418_3);
    }

    #[test]
    fn draws_are_spread_evenly() {
        let mut cells = [0_u32; 20];
        (0..20_000).for_each(|step| cells[(at(5, "row", 0, step) * 20.0) as usize] += 1);
        let chi_square: f64 = cells.iter().map(|n| (f64::from(*n) - 1000.0).powi(2) / 1000.0).sum();
        // 43.82 is the 0.999 quantile for 19 degrees of freedom (scipy 1.17: chi2.ppf(0.999, 19)).
        assert!(chi_square < 43.82, "{chi_square}");
    }
}

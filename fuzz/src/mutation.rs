//! What the mutators that know a format share.

/// libFuzzer's own mutation: of the first `size` of the bytes, to at most `max_size`; gives the new size.
pub type Plain = fn(&mut [u8], usize, usize) -> usize;

/// SplitMix64: one seed of libFuzzer to as many decisions as it takes.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed) << 17 ^ 0x9E37_79B9_7F4A_7C15)
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, 0 if there is none.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.roll() % n as u64) as usize }
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// A size or index that readers get wrong: around 0, powers of two and the ends of the types; or a small one.
    pub fn awkward(&mut self) -> i64 {
        const EDGES: [i64; 14] = [
            0,
            -1,
            1,
            2,
            3,
            i64::MAX,
            i64::MIN,
            i32::MAX as i64,
            i32::MIN as i64,
            1 << 31,
            1 << 32,
            1 << 62,
            (1 << 32) + 1,
            i64::MAX - 1,
        ];
        if self.once_in(2) { EDGES[self.below(EDGES.len())] } else { self.below(17) as i64 - 2 }
    }
}

/// Mutates `region` of the first `size` bytes by libFuzzer's means and moves what is behind it; gives the new size.
pub fn mutate_region(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    region: std::ops::Range<usize>,
    plain: Plain,
) -> usize {
    let behind = data[region.end..size].to_vec();
    let room = max_size.min(data.len()).saturating_sub(region.start + behind.len());
    if room < region.len() {
        return size;
    }
    let mut piece = data[region.clone()].to_vec();
    let n = piece.len();
    piece.resize(room.min(n * 2 + 64), 0);
    let room = piece.len();
    let n = plain(&mut piece, n, room);
    let end = region.start + n;
    data[region.start..end].copy_from_slice(&piece[..n]);
    data[end..end + behind.len()].copy_from_slice(&behind);
    end + behind.len()
}

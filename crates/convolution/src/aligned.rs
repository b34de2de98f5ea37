//! Numbers that begin where a line of the cache does, so that no vector lies across two.

/// Bytes of a line of the cache, and of the widest vector.
const LINE: usize = 64;

/// Float32 numbers in memory of that kind.
#[derive(Debug, Default)]
pub(crate) struct Aligned {
    values: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(crate) fn zeros(len: usize) -> Self {
        let spare = LINE / size_of::<f32>();
        let values = vec![0.0; len + spare];
        let start = values.as_ptr().align_offset(LINE).min(spare);
        Self { values, start, len }
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.values[self.start..][..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.values[self.start..][..self.len]
    }

    /// The first `len` numbers, whatever they hold; more memory where there are fewer.
    pub(crate) fn at_least(&mut self, len: usize) -> &mut [f32] {
        if self.len < len {
            *self = Self::zeros(len);
        }
        &mut self.as_mut_slice()[..len]
    }
}

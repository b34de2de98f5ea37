//! The logits of one run, read where the runtime left them.

use ort::value::{DynValue, TensorElementType};

use crate::error::chain;
use crate::{Error, Result};

/// One vector `[vocabulary]` a row.
#[derive(Debug)]
pub(super) struct Logits {
    value: DynValue,
    /// float32 copies, where the model gives float16.
    converted: Option<Vec<f32>>,
    /// Where each row's vector starts.
    starts: Vec<usize>,
    vocabulary: usize,
}

impl Logits {
    /// `positions[row]` is the position that counts, where the model gives logits for all.
    pub(super) fn new(value: DynValue, positions: &[usize]) -> Result<Self> {
        let rows = positions.len();
        let shape: Vec<i64> = value.shape().iter().copied().collect();
        let wrong = || Error::Logits { found: shape.clone(), rows };
        let sizes: Vec<usize> = shape.iter().filter_map(|d| usize::try_from(*d).ok()).collect();
        let &[found_rows, n_positions, vocabulary] = sizes.as_slice() else { return Err(wrong()) };
        if found_rows != rows || vocabulary == 0 {
            return Err(wrong());
        }
        let at = |position: usize| if n_positions == 1 { 0 } else { position };
        if positions.iter().any(|p| at(*p) >= n_positions) {
            return Err(wrong());
        }
        let starts = (0..rows).map(|row| (row * n_positions + at(positions[row])) * vocabulary).collect();
        let mut logits = Self { value, converted: None, starts, vocabulary };
        if *logits.value.data_type() == TensorElementType::Float16 {
            logits.convert()?;
        }
        Ok(logits)
    }

    /// Only the vectors that count are converted.
    fn convert(&mut self) -> Result<()> {
        let (_, halves) = self.value.try_extract_tensor::<half::f16>().map_err(|e| Error::Model(chain(&e)))?;
        let mut all = Vec::with_capacity(self.starts.len() * self.vocabulary);
        for start in &self.starts {
            all.extend(halves[*start..*start + self.vocabulary].iter().map(|h| h.to_f32()));
        }
        self.converted = Some(all);
        self.starts = (0..self.starts.len()).map(|row| row * self.vocabulary).collect();
        Ok(())
    }

    pub(super) fn row(&self, row: usize) -> Result<&[f32]> {
        let start = self.starts[row];
        let all = match &self.converted {
            Some(values) => values,
            None => self.value.try_extract_tensor::<f32>().map_err(|e| Error::Model(chain(&e)))?.1,
        };
        Ok(&all[start..start + self.vocabulary])
    }
}

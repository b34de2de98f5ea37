//! Weights as the products of training take them: cut into panels of columns, each in one run of memory.

use ndarray::{Array2, ArrayView2};

/// Columns of a panel: one vector of the widest processors, two or four of others.
pub(crate) const PANEL: usize = 16;

/// One feature's weights of a panel's columns, where no load crosses a line of the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
pub(crate) struct Line(pub(crate) [f32; PANEL]);

pub(crate) const ZEROS: Line = Line([0.0; PANEL]);

/// A matrix f32 `[n_columns, feature_dim]` cut into panels of [`PANEL`] columns, each `[feature_dim, PANEL]`: what a tile reads
/// lies in one run. The last panel ends in columns of zeros.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Panels {
    n_columns: usize,
    pub(crate) feature_dim: usize,
    /// Panel after panel, one line for each feature.
    pub(crate) lines: Vec<Line>,
}

impl Panels {
    pub(crate) fn zeros(n_columns: usize, feature_dim: usize) -> Self {
        Self { n_columns, feature_dim, lines: vec![ZEROS; n_columns.div_ceil(PANEL) * feature_dim] }
    }

    pub(crate) fn of(matrix: ArrayView2<'_, f32>) -> Self {
        let mut panels = Self::zeros(matrix.nrows(), matrix.ncols());
        panels.assign(0, matrix);
        panels
    }

    /// Puts `rows` f32 `[n, feature_dim]` in place of the columns from `first` on.
    pub(crate) fn assign(&mut self, first: usize, rows: ArrayView2<'_, f32>) {
        for (column, row) in (first..).zip(rows.rows()) {
            let lines = &mut self.lines[column / PANEL * self.feature_dim..];
            lines.iter_mut().zip(row).for_each(|(line, value)| line.0[column % PANEL] = *value);
        }
    }

    /// `n` columns from `first` on, as rows f32 `[n, feature_dim]`.
    pub(crate) fn rows(&self, first: usize, n: usize) -> Array2<f32> {
        Array2::from_shape_fn((n, self.feature_dim), |(row, feature)| {
            let column = first + row;
            self.lines[column / PANEL * self.feature_dim + feature].0[column % PANEL]
        })
    }

    /// The columns with those of zeros behind them.
    pub(crate) fn n_places(&self) -> usize {
        self.n_columns.next_multiple_of(PANEL)
    }
}

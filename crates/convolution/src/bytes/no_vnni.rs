//! In place of `vnni` on other processors than x86-64.

use super::row::Strip;
use super::tiles::Task;

/// That this processor has the instruction, which it has not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Vnni {}

/// What the instruction is for.
pub(super) enum Work<'a, 'of> {
    /// Some channels of a row.
    Strip(&'a mut Strip<'of>),
    /// Winograd's algorithm on some rows or images.
    Task(&'a mut Task<'of>),
}

impl Vnni {
    pub(super) fn detect() -> Option<Self> {
        None
    }

    pub(super) fn run(self, _work: Work<'_, '_>) {
        match self {}
    }
}

//! In place of `vnni` on other processors than x86-64.

use super::Work;

/// That this processor has the instruction, which it has not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Vnni {}

impl Vnni {
    pub(super) fn detect() -> Option<Self> {
        None
    }

    pub(super) fn run(self, _work: Work<'_, '_>) {
        match self {}
    }
}

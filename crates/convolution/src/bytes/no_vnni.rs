//! In place of `vnni` on other processors than x86-64.

use super::tile::Tile;

/// That this processor has the instruction, which it has not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Vnni {}

impl Vnni {
    pub(super) fn detect() -> Option<Self> {
        None
    }

    pub(super) fn run(self, _tile: &mut Tile<'_>) {
        match self {}
    }
}

//! Why a sequence ends.

/// Why a sequence is over. Where several reasons hold at once, the first of this list is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its last token is an end token (EosTokenCriteria), which belongs to the sequence.
    Eos,
    /// The caller says so: a stop string.
    Stopped,
    /// It has as many new tokens as allowed (MaxLengthCriteria).
    Length,
}

impl Ending {
    /// Why a sequence with these new tokens is over, or `None` while it is not. `stopped` is asked only where
    /// no end token came.
    pub(crate) fn of(new: &[u32], eos: &[u32], max_new: usize, stopped: impl FnOnce() -> bool) -> Option<Self> {
        if new.last().is_some_and(|last| eos.contains(last)) {
            Some(Self::Eos)
        } else if stopped() {
            Some(Self::Stopped)
        } else {
            (new.len() >= max_new).then_some(Self::Length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_is_given() {
        let of = |new: &[u32], max_new, stopped| Ending::of(new, &[7, 3], max_new, || stopped);
        assert_eq!(of(&[], 2, false), None);
        assert_eq!(of(&[3, 1], 3, false), None);
        assert_eq!(of(&[1, 3], 2, true), Some(Ending::Eos));
        assert_eq!(of(&[1, 2], 2, true), Some(Ending::Stopped));
        assert_eq!(of(&[1, 2], 2, false), Some(Ending::Length));
        assert_eq!(of(&[1], 2, true), Some(Ending::Stopped));
        assert_eq!(of(&[], 0, false), Some(Ending::Length));
    }
}

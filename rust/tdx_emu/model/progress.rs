// SPDX-License-Identifier: GPL-2.0

//! Lies about how far TDH.EXT.MEM.ADD has come.
//!
//! It says so in the first entry of the list word that it gives back. Which pages are taken is not
//! touched by a lie.

use crate::abi::list::HpaListInfo;

/// What is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The truth: the first entry that is not taken.
    #[default]
    Truth,
    /// What was fed: nothing was taken.
    Stalled,
    /// So many entries before what was fed, at most the first of all.
    Back(u64),
    /// So many entries past the truth, and perhaps past the end.
    Ahead(u64),
    /// Another word, whatever it is.
    Word(u64),
}

impl Progress {
    /// What is given back for the word that was `fed`, where `next` is the first entry that is not
    /// taken, 0 to 512. An index wraps behind entry 511, as the field does.
    pub(crate) fn word(self, fed: HpaListInfo, next: usize) -> HpaListInfo {
        // CAST: The field has nine bits, and `usize` 64.
        let index = |entries: u64| entries as usize;
        match self {
            Self::Truth => fed.with_first(next),
            Self::Stalled => fed,
            Self::Back(by) => fed.with_first(fed.first().saturating_sub(index(by))),
            Self::Ahead(by) => fed.with_first(next.wrapping_add(index(by))),
            Self::Word(word) => HpaListInfo::from_raw(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{
        list::Entries,
        Hpa, //
    };

    #[test]
    fn each_lie() {
        let root = Hpa::new(0xabcd_e000).unwrap();
        let list = HpaListInfo::new(Entries::new(9).unwrap(), root);
        let fed = list.with_first(4);
        for (lie, first) in [
            (Progress::Truth, 6),
            (Progress::Stalled, 4),
            (Progress::Back(1), 3),
            (Progress::Back(4), 0),
            (Progress::Back(u64::MAX), 0),
            (Progress::Ahead(1), 7),
            (Progress::Ahead(3), 9),
            (Progress::Ahead(506), 0),
            (Progress::Ahead(u64::MAX), 5),
        ] {
            assert_eq!(lie.word(fed, 6), list.with_first(first), "{lie:?}");
        }
        assert_eq!(Progress::Word(5).word(fed, 6).raw(), 5);
        assert_eq!(Progress::Truth.word(fed, 512), list);
    }
}

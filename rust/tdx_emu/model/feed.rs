// SPDX-License-Identifier: GPL-2.0

//! What TDH.EXT.MEM.ADD answered last.
//!
//! Its progress is in the word that it gives back, which the host feeds again as it is while the
//! leaf is interrupted, and never when it is complete. The list must stay as it is meanwhile.

use super::{
    bugs::Bug,
    machine::Machine,
    page::PageType,
    pages::Pages, //
};
use crate::abi::{
    list::HpaListInfo,
    Hpa,
    Leaf, //
};

/// The last call of the leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feed {
    /// There was none, or it failed.
    Nothing,
    /// It was interrupted and gave this word; a checksum of the entries that are left.
    Interrupted(u64, u64),
    /// It was complete and gave this word.
    Complete(u64),
}

impl Feed {
    /// No call is known of.
    pub(crate) const NOTHING: Self = Self::Nothing;

    /// Looks whether the host feeds `word`, the list of which is at `root`, as it should.
    pub(crate) fn look<M: Machine>(self, word: HpaListInfo, root: Hpa, pages: &mut Pages<M>) {
        match self {
            Self::Interrupted(last, sum) if last == word.raw() => {
                if sum != Self::sum(word, root, pages) {
                    let leaf = Leaf::EXT_MEM_ADD.number();
                    pages.bugs.record(Bug::ListTouched, root, leaf);
                }
            }
            // Behind 512 entries the word looks like that of a new list; its pages tell.
            Self::Complete(last) if last == word.raw() => {
                let first = pages.machine.read(root, word.first()).and_then(Hpa::new);
                let state = first.and_then(|page| pages.state(page));
                if state.is_some_and(|state| state.page_type() == PageType::Pool) {
                    pages.bugs.record(Bug::ListWasComplete, root, word.raw());
                }
            }
            _ => {}
        }
    }

    /// An interruption that gives `word`.
    pub(crate) fn interrupted<M: Machine>(word: HpaListInfo, root: Hpa, pages: &Pages<M>) -> Self {
        Self::Interrupted(word.raw(), Self::sum(word, root, pages))
    }

    fn sum<M: Machine>(word: HpaListInfo, root: Hpa, pages: &Pages<M>) -> u64 {
        (word.first()..=word.last()).fold(0u64, |sum, entry| {
            let word = pages.machine.read(root, entry).unwrap_or(0);
            sum.rotate_left(7) ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A count of lives, and of how they went.

use super::{
    chance::long,
    lives::Lived, //
};
use kernel::fmt;

/// Of those that a short run lives, every so many-th is followed by one in which all goes well.
const AGAIN: usize = 8;

/// Rounds, each of which is a life in which something may go wrong.
#[derive(Default)]
pub(super) struct Rounds {
    pub(super) all: usize,
    /// Those in which something failed.
    pub(super) ill: usize,
    /// Those with pages in quarantine at their end.
    pub(super) quarantined: usize,
}

impl Rounds {
    /// Whether the next round is followed by one in which nothing goes wrong.
    pub(super) fn again(&self) -> bool {
        long() || self.all % AGAIN == 0
    }

    /// Counts one that went so.
    pub(super) fn count(&mut self, lived: Lived) {
        self.all += 1;
        self.ill += usize::from(!lived.well);
        self.quarantined += usize::from(lived.quarantined > 0);
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds, {} did not go well, {} with pages in quarantine",
            self.all, self.ill, self.quarantined
        )
    }
}

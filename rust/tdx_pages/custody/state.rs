// SPDX-License-Identifier: GPL-2.0

//! States of records, and causes.

use super::lent::Unproved;
use crate::abi::{
    Leaf,
    Status, //
};

/// The state of a record in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The TDX Module has the pages, and somebody has the [`Held`](super::transitions::Held).
    Held,
    /// The TDX Module has the pages and there is no way back: the extension pool.
    HeldForGood,
    /// Pages that should have come back and are not proved.
    Quarantined(Cause),
}

/// Why pages are in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// What went wrong.
    pub(crate) why: Why,
    /// The leaf after which it was found.
    pub(crate) leaf: Leaf,
    /// What that leaf answered.
    pub(crate) status: Status,
    /// The first page that failed its proof.
    pub(crate) unproved: Option<Unproved>,
}

/// What went wrong; see [`Cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The hand-over failed and kept pages all the same.
    HandOverFailed,
    /// The leaf was given up while it could still be resumed, so nothing may be put to the proof:
    /// a page that is free now may be taken at the resume.
    Abandoned,
    /// The leaf that releases failed, and its user sees no later chance for it.
    ReleaseFailed,
    /// The leaf that takes succeeded, but named the object by an id that another one has: whatever is
    /// called with it would be called for that one.
    WrongId,
    /// The leaf that releases succeeded, but pages are not proved.
    NotProved,
    /// The leaf that releases succeeded, but the list it gave back is wrong.
    WrongList,
    /// The handle was dropped while the pages were held.
    DroppedWhileHeld,
    /// There was still a handle, or a forgotten one, when the ledger was closed.
    NeverReleased,
}

impl Why {
    /// A few words for messages.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::HandOverFailed => "hand-over failed",
            Self::Abandoned => "abandoned while interrupted",
            Self::ReleaseFailed => "release failed",
            Self::WrongId => "given the id of another object",
            Self::NotProved => "not proved after release",
            Self::WrongList => "wrong list after release",
            Self::DroppedWhileHeld => "dropped while held",
            Self::NeverReleased => "never released",
        }
    }
}

/// A summary of pages that took the way to the quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Why.
    pub(crate) cause: Cause,
    /// Pages that were proved, and so were freed.
    pub(crate) freed: usize,
    /// Pages that went into quarantine.
    pub(crate) quarantined: usize,
}

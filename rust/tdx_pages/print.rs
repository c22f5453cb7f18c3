// SPDX-License-Identifier: GPL-2.0

//! Printing of the pure types with the kernel's own formatting macros.

use crate::abi::{
    field::Field,
    Block,
    Hpa,
    Leaf,
    Status, //
};
use crate::bindings;
use crate::custody::lent::Unproved;
use crate::users::dmar::DmarError;
use kernel::fmt;

macro_rules! forward_display {
    ($($type:ty),+ $(,)?) => {
        $(
            impl fmt::Display for $type {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    core::fmt::Display::fmt(self, f)
                }
            }
        )+
    };
}

forward_display!(Block, DmarError, Field, Hpa, Leaf, Status);

/// The suites make more trouble than anybody else, and are to show each message.
const ALL_IS_TOLD: bool = cfg!(TDX_PAGES_KUNIT);

/// Whether a message about one more object in trouble is bearable. The counters and the quarantine
/// have all of them. Any context.
pub(crate) fn may_tell() -> bool {
    // SAFETY: No preconditions.
    ALL_IS_TOLD || unsafe { bindings::tdx_pages_may_tell() }
}

/// The same for an object with which all is well.
pub(crate) fn may_tell_news() -> bool {
    // SAFETY: No preconditions.
    ALL_IS_TOLD || unsafe { bindings::tdx_pages_may_tell_news() }
}

/// The same for one more mistake of a caller.
pub(crate) fn may_tell_misuse() -> bool {
    // SAFETY: No preconditions.
    ALL_IS_TOLD || unsafe { bindings::tdx_pages_may_tell_misuse() }
}

/// The first page whose proof failed, to follow the cause; nothing if there is none.
pub(crate) struct Proof(pub(crate) Option<Unproved>);

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(page) => write!(
                f,
                "; the proof of page {} answered {}",
                page.index, page.status
            ),
        }
    }
}

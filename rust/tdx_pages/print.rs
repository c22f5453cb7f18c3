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

/// Whether all is told: the suites make more trouble than anybody else, and are to show each message.
/// A long run of them would show each some ten thousand times.
fn all_is_told() -> bool {
    #[cfg(TDX_PAGES_KUNIT)]
    // SAFETY: No preconditions.
    return !unsafe { bindings::tdx_pages_test_long() };
    #[cfg(not(TDX_PAGES_KUNIT))]
    false
}

/// Whether a message about one more object in trouble is bearable. The counters and the quarantine
/// have all of them. Any context.
pub(crate) fn may_tell() -> bool {
    // SAFETY: No preconditions.
    all_is_told() || unsafe { bindings::tdx_pages_may_tell() }
}

/// The same for an object with which all is well.
pub(crate) fn may_tell_news() -> bool {
    // SAFETY: No preconditions.
    all_is_told() || unsafe { bindings::tdx_pages_may_tell_news() }
}

/// The same for one more mistake of a caller.
pub(crate) fn may_tell_misuse() -> bool {
    // SAFETY: No preconditions.
    all_is_told() || unsafe { bindings::tdx_pages_may_tell_misuse() }
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

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

/// Whether a message about one more object is bearable. The counters and the quarantine have all
/// of them. Any context.
pub(crate) fn may_tell() -> bool {
    // SAFETY: No preconditions.
    unsafe { bindings::tdx_pages_may_tell() }
}

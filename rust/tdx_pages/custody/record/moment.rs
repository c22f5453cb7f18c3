// SPDX-License-Identifier: GPL-2.0

//! When something was, to the kernel's tick: what people read in seconds need be no finer, and each
//! record notes it as its state changes.

use crate::bindings;
use kernel::time::Delta;

/// A moment on the kernel's coarse clock.
#[derive(Clone, Copy)]
pub(super) struct Moment(usize);

impl Moment {
    /// This one. Any context.
    #[inline]
    pub(super) fn now() -> Self {
        // SAFETY: No preconditions.
        Self(unsafe { bindings::tdx_pages_jiffies() })
    }

    /// How long ago it was. Any context.
    pub(super) fn elapsed(self) -> Delta {
        // SAFETY: No preconditions.
        let ns = unsafe { bindings::tdx_pages_ns_since(self.0) };
        Delta::from_nanos(i64::try_from(ns).unwrap_or(i64::MAX))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What differs between the kernels that this is built on: Linux 7.2 and 7.3.
//!
//! It is all here, and written so that it needs no look at the version.

use core::borrow::Borrow;
use kernel::prelude::*;

/// An error by its name in C. Linux 7.2 has no constants of those in `asm-generic/errno.h`.
macro_rules! errno {
    ($name:ident) => {
        // CAST: It is a small number.
        kernel::error::Error::from_errno(-(kernel::bindings::$name as kernel::ffi::c_int))
    };
}

/// What a parameter was set to. Its `value()` gives a reference in Linux 7.2, and a copy in 7.3.
pub(crate) fn parameter<T: Copy>(value: impl Borrow<T>) -> T {
    *value.borrow()
}

/// The same for one that is on or off: `module!` of Linux 7.2 knows no `bool`. `EINVAL` if it is
/// neither 0 nor 1.
pub(crate) fn switch(name: &str, value: impl Borrow<u8>) -> Result<bool> {
    match *value.borrow() {
        0 => Ok(false),
        1 => Ok(true),
        other => {
            pr_err!("{}={}: give 0 (off) or 1 (on)\n", name, other);
            Err(EINVAL)
        }
    }
}

/// Waits until all RCU read-side sections of now are over. Linux 7.2 offers it to C only. Sleeps.
pub(crate) fn synchronize_rcu() {
    // SAFETY: It may be called wherever one may sleep.
    unsafe { kernel::bindings::synchronize_rcu() };
}

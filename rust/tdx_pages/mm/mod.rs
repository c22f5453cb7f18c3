// SPDX-License-Identifier: GPL-2.0

//! The memory: who owns which physical pages. Nothing here knows about TDX.

pub(crate) mod blocks;
pub(crate) mod mapping;
mod records;
pub(crate) mod root;
#[cfg(TDX_PAGES_KUNIT)]
pub(crate) mod scarce;

pub(crate) use self::blocks::Blocks;

use crate::bindings;

/// Pages that can be had without swapping, as MemAvailable in `/proc/meminfo`.
pub(crate) fn available_pages() -> u64 {
    // SAFETY: No preconditions.
    unsafe { bindings::tdx_pages_available() }
}

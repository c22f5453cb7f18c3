// SPDX-License-Identifier: GPL-2.0

//! Who hands pages over.
//!
//! A user knows its leaf and its memory, and nothing of proofs and lists.

pub(crate) mod account;
pub(crate) mod dmar;
mod ending;
pub(crate) mod ext_pool;
pub(crate) mod iommu;
pub(crate) mod iommus;
pub(crate) mod registry;
pub(crate) mod session;
pub(crate) mod stream;
#[cfg(TDX_PAGES_KUNIT)]
mod suite;
pub(crate) mod talk;

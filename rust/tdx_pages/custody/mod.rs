// SPDX-License-Identifier: GPL-2.0

//! Custody: who may touch memory now.
//!
//! [`memory`] says what custody asks of memory and of the world below. [`lent`] is the memory
//! while it is not ours, with one bit for each page that came back. [`transitions`] is the type
//! state: hand over, release, hold for good. [`feed`] hands over lists of any length. These four
//! are pure and are compiled on the host too. [`ledger`] is the kernel's side: it keeps a record of
//! everything from hand-over on, so that nothing is lost when a value is dropped or forgotten.

pub(crate) mod feed;
pub(crate) mod ledger;
pub(crate) mod lent;
pub(crate) mod memory;
#[cfg(TDX_PAGES_KUNIT)]
mod suite;
pub(crate) mod transitions;

// SPDX-License-Identifier: GPL-2.0

//! Custody: who may touch memory now.
//!
//! [`memory`] says what custody asks of memory and of the world below. [`lent`] is the memory
//! while it is not ours, with one bit for each page that came back. [`transitions`] is the type
//! state: hand over, release, hold for good; [`answer`] is what it believes of a leaf, [`state`] what
//! a record can be in. [`listed`] tells pages on record to the TDX Module and checks the list that comes
//! back; [`lending`] is for leaves that keep nothing; [`feed`] hands over lists of any length.
//! These are pure and are compiled on
//! the host too. [`ledger`] and its [`record`]s are the kernel's side: they know everything from
//! hand-over on, so that nothing is lost when a value is dropped or forgotten.

mod answer;
pub(crate) mod feed;
pub(crate) mod ledger;
pub(crate) mod lending;
pub(crate) mod lent;
pub(crate) mod listed;
pub(crate) mod memory;
pub(crate) mod record;
pub(crate) mod state;
#[cfg(TDX_PAGES_KUNIT)]
mod suite;
pub(crate) mod transitions;

// SPDX-License-Identifier: GPL-2.0

//! Custody without the ledger of the kernel.

#[path = "../tdx_pages/custody/answer.rs"]
mod answer;
#[path = "../tdx_pages/custody/feed.rs"]
pub(crate) mod feed;
#[path = "../tdx_pages/custody/lent.rs"]
pub(crate) mod lent;
#[path = "../tdx_pages/custody/memory.rs"]
pub(crate) mod memory;
#[path = "../tdx_pages/custody/state.rs"]
mod state;
#[path = "../tdx_pages/custody/transitions.rs"]
pub(crate) mod transitions;

/// The last try of the ledger, for the one of the host.
#[cfg(test)]
pub(crate) fn retry<P: memory::Platform>(lent: &mut lent::Lent<P>, platform: &P) {
    let _ = lent.retry(platform);
}

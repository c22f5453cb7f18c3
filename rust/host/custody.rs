// SPDX-License-Identifier: GPL-2.0

//! Custody without the ledger of the kernel.

#[path = "../tdx_pages/custody/answer.rs"]
mod answer;
#[path = "../tdx_pages/custody/feed.rs"]
pub(crate) mod feed;
#[path = "../tdx_pages/custody/lending.rs"]
pub(crate) mod lending;
#[path = "../tdx_pages/custody/lent.rs"]
pub(crate) mod lent;
#[path = "../tdx_pages/custody/listed.rs"]
pub(crate) mod listed;
#[path = "../tdx_pages/custody/memory.rs"]
pub(crate) mod memory;
#[path = "../tdx_pages/custody/state.rs"]
mod state;
#[path = "../tdx_pages/custody/transitions.rs"]
pub(crate) mod transitions;

/// What the ledger of the kernel does, for that of the host, which stands outside.
#[cfg(test)]
pub(crate) fn attempt<P: memory::Platform>(
    lent: &mut lent::Lent<P>,
    platform: &P,
    why: state::Why,
    ended: impl FnOnce() -> bool,
) -> (usize, lent::Failures) {
    lent.attempt(platform, why, ended)
}

/// A look at the memory, for the oracle.
#[cfg(test)]
pub(crate) fn memory_of<P: memory::Platform>(lent: &lent::Lent<P>) -> &P::Memory {
    lent.memory()
}

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

/// One more try for what is in quarantine, as the ledger of the kernel makes it. Returns how many
/// pages were freed, and the first that failed.
#[cfg(test)]
pub(crate) fn attempt<P: memory::Platform>(
    lent: &mut lent::Lent<P>,
    platform: &P,
    why: state::Why,
    settled: impl FnOnce() -> bool,
) -> (usize, Option<lent::Unproved>) {
    match why {
        state::Why::Abandoned if !settled() => (0, None),
        state::Why::NotProved | state::Why::WrongList => {
            let _ = lent.reclaim(platform);
            lent.retry(platform)
        }
        _ => lent.retry(platform),
    }
}

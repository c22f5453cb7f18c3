// SPDX-License-Identifier: GPL-2.0

//! Custody without the ledger of the kernel.

#[path = "../tdx_pages/custody/feed.rs"]
pub(crate) mod feed;
#[path = "../tdx_pages/custody/lent.rs"]
pub(crate) mod lent;
#[path = "../tdx_pages/custody/memory.rs"]
pub(crate) mod memory;
#[path = "../tdx_pages/custody/transitions.rs"]
pub(crate) mod transitions;

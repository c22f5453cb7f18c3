// SPDX-License-Identifier: GPL-2.0

//! For the KUnit suites: memory that is scarce, and a count of the pages that are out.
//!
//! Both are of all [`Blocks`](super::Blocks) there are: the suites run one after the other.

use core::marker::PhantomData;
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// There is no limit.
const ANY: usize = usize::MAX;

static LARGEST: Atomic<usize> = Atomic::new(ANY);
static LEFT: Atomic<usize> = Atomic::new(ANY);
static REFUSED: Atomic<usize> = Atomic::new(0);
static OUT: Atomic<usize> = Atomic::new(0);

/// Memory is scarce while it lives.
///
/// There should be one at a time.
pub(crate) struct Scarce(PhantomData<*mut ()>);

impl Scarce {
    /// As if the allocator had no block of more than `largest` pages.
    pub(crate) fn no_larger_than(largest: usize) -> Self {
        LARGEST.store(largest, Relaxed);
        REFUSED.store(0, Relaxed);
        Self(PhantomData)
    }

    /// As if it had `pages` pages, and those that are freed were gone.
    pub(crate) fn at_most(pages: usize) -> Self {
        LEFT.store(pages, Relaxed);
        REFUSED.store(0, Relaxed);
        Self(PhantomData)
    }

    /// Blocks that were asked for in vain.
    pub(crate) fn refused(&self) -> usize {
        REFUSED.load(Relaxed)
    }
}

impl Drop for Scarce {
    fn drop(&mut self) {
        LARGEST.store(ANY, Relaxed);
        LEFT.store(ANY, Relaxed);
    }
}

/// Allocates a block of `pages` pages by `alloc`, unless memory is too scarce for it. 0 if there is
/// none.
pub(super) fn allocate(pages: usize, alloc: impl FnOnce() -> u64) -> u64 {
    if pages > LARGEST.load(Relaxed) {
        book(0);
        return 0;
    }
    allocate_folio(pages, alloc)
}

/// The same for a folio, whose size is not ours to choose: how large a block may be is no matter.
pub(super) fn allocate_folio(pages: usize, alloc: impl FnOnce() -> u64) -> u64 {
    let enough = pages <= LEFT.load(Relaxed);
    let hpa = if enough { alloc() } else { 0 };
    book(if hpa == 0 { 0 } else { pages });
    hpa
}

/// The same for single pages, of which `alloc` gives up to as many as it is asked for.
pub(super) fn allocate_singles(count: usize, alloc: impl FnOnce(usize) -> usize) -> usize {
    let asked = count.min(LEFT.load(Relaxed));
    let got = if asked > 0 { alloc(asked) } else { 0 };
    book(got);
    got
}

/// Books what somebody got who asked for pages: so many, or none.
fn book(got: usize) {
    if got == 0 {
        REFUSED.fetch_add(1, Relaxed);
        return;
    }
    if LEFT.load(Relaxed) != ANY {
        LEFT.fetch_sub(got, Relaxed);
    }
    OUT.fetch_add(got, Relaxed);
}

/// So many pages went back to the allocator.
pub(super) fn freed(pages: usize) {
    OUT.fetch_sub(pages, Relaxed);
}

/// Pages that were allocated and are not freed: of the host, held, in quarantine and lost ones.
pub(crate) fn out() -> usize {
    OUT.load(Relaxed)
}

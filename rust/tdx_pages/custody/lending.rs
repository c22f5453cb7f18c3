// SPDX-License-Identifier: GPL-2.0

//! Memory that is lent for leaves that read or write its pages and keep none: messages, device info.
//!
//! Shared pages are never converted, so there is nothing to prove when a leaf has ended, whatever it
//! answered. `[1]` V2 thread of 03/31. But a leaf that is left interrupted may go on with them, so
//! they are on record from the beginning: lending takes no memory.

use super::{
    answer::{
        Answer,
        Brand, //
    },
    lent::Lent,
    memory::{
        Memory,
        Platform,
        PublishedRoot,
        Refusal,
        RootPage, //
    },
    state::{
        Cause,
        Settled,
        State,
        Why, //
    }, //
};
use crate::abi::{
    list::{
        Entries,
        HpaArray, //
    },
    Block,
    Hpa,
    Leaf,
    Status, //
};
use core::marker::PhantomData;

/// Memory of the host, on record so that it can be lent. Dropping it frees the memory.
pub(crate) struct Lending<P: Platform> {
    platform: P,
    // `None` after a leaf was left interrupted that may still use it: the ledger has it then.
    on_hand: Option<(P::Entry, Lent<P>)>,
}

/// Memory that is lent for the length of one leaf that keeps nothing.
///
/// As [`Recorded`](super::listed::Recorded), but nothing that takes pages can be told by it.
pub(crate) struct Shared<'id, M: Memory>(&'id M, Brand<'id>);

/// A list of lent pages in a published root page, for all calls of one exchange: the operands of
/// those must be the same.
pub(crate) struct Told<R: PublishedRoot> {
    root: R,
    array: HpaArray,
    // By its first page a piece of memory is known.
    first: Hpa,
}

impl<'id, M: Memory> Shared<'id, M> {
    /// Page `n` by itself.
    pub(crate) fn page(&self, n: usize) -> Option<Hpa> {
        self.0.hpas().nth(n)
    }

    /// The operand for what is told of this memory; [`None`] for a list of another one.
    pub(crate) fn array<R: PublishedRoot>(&self, told: &Told<R>) -> Option<HpaArray> {
        (self.page(0)? == told.first).then_some(told.array)
    }
}

impl<R: PublishedRoot> Told<R> {
    /// The root page alone, for a leaf that was left interrupted and still uses it.
    pub(crate) fn into_root(self) -> R {
        self.root
    }
}

impl<P: Platform> Lending<P> {
    /// Puts memory on record, to be lent later. A refusal gives it back. Sleeps.
    pub(crate) fn new(
        platform: &P,
        user: &P::User,
        memory: P::Memory,
    ) -> Result<Self, (Refusal, P::Memory)> {
        Ok(Self {
            on_hand: Some(platform.enter(user, memory)?),
            platform: platform.clone(),
        })
    }

    /// The memory, between calls; [`None`] if a leaf was left interrupted that may still use it.
    pub(crate) fn memory(&self) -> Option<&P::Memory> {
        self.on_hand.as_ref().map(|(_, lent)| lent.memory())
    }

    /// Lists each page but the folios by itself. [`None`] for no page, or more than 512.
    pub(crate) fn tell<R: RootPage>(&self, mut root: R) -> Option<Told<R::Published>> {
        let memory = self.memory()?;
        let rest = memory.blocks().get(memory.folios()..)?;
        let mut hpas = rest.iter().copied().flat_map(Block::hpas).map(Hpa::get);
        let entries: Entries = root.fill(hpas.by_ref())?;
        let root = root.publish();
        let array = HpaArray::new(entries, rest.first()?.hpa(), root.hpa());
        let first = memory.hpas().next()?;
        Some(Told { root, array, first })
    }

    /// Lends the memory for one leaf. `call` makes the SEAMCALLs. Gives the status with which it
    /// ended; [`Err`] if it was left interrupted, or one was before. Sleeps.
    pub(crate) fn lend(
        &mut self,
        leaf: Leaf,
        call: impl for<'id> FnOnce(Shared<'id, P::Memory>) -> Answer<'id>,
    ) -> Result<Status, Option<Settled>> {
        let (_, lent) = self.on_hand.as_ref().ok_or(None)?;
        let answer = call(Shared(lent.memory(), PhantomData));
        let status = answer.status;
        if !answer.is_given_up() {
            return Ok(status);
        }
        let (entry, lent) = self.on_hand.take().ok_or(None)?;
        let cause = Cause {
            why: Why::Abandoned,
            leaf,
            status,
            unproved: None,
        };
        let quarantined = lent.owing();
        self.platform.put(&entry, lent, State::Quarantined(cause));
        Err(Some(Settled {
            cause,
            freed: 0,
            quarantined,
        }))
    }
}

impl<P: Platform> Drop for Lending<P> {
    fn drop(&mut self) {
        let Some((entry, mut lent)) = self.on_hand.take() else {
            return;
        };
        // Each leaf that was told of them has come to its end.
        lent.never_offered(0..lent.pages());
        lent.settle();
        self.platform.strike(entry);
    }
}

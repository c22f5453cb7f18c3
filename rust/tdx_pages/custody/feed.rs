// SPDX-License-Identifier: GPL-2.0

//! Handing over a list of any length, in windows of 512, for good.
//!
//! TDH.EXT.MEM.ADD takes entries one by one and says in its list word how far it came, so a
//! hand-over may stop anywhere. What was taken is held for good; what was offered but not taken is
//! put to the proof; what was never offered is the host's, because no call named it.

#[cfg(TDX_PAGES_BENCH)]
use super::{
    answer::Answer,
    listed::Recorded, //
};
use super::{
    answer::Brand,
    lent::Unproved,
    memory::{
        pass,
        Memory,
        Platform,
        PublishedRoot,
        Refusal,
        RootPage, //
    },
    transitions::State, //
};
use crate::abi::{
    list::{
        HpaListInfo,
        ListWordError, //
    },
    Status,
    ROOT_ENTRIES, //
};
use core::marker::PhantomData;

/// Why feeding stopped before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The leaf ended with this status.
    Status(Status),
    /// The leaf succeeded with this note beside it, and wants no more.
    Note(Status),
    /// The leaf was interrupted, and the list word it gave back is wrong.
    Word(ListWordError),
    /// The leaf was interrupted without having moved on: going on might never end.
    Stalled,
}

/// How a hand-over for good ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fed {
    /// Pages that the TDX Module has, by its own word or because they are not proved free.
    pub(crate) held: usize,
    /// Pages that went back to the allocator.
    pub(crate) freed: usize,
    /// Why it ended before all pages were taken; [`None`] if it did not.
    pub(crate) stopped: Option<Stopped>,
    /// The first page that was offered, is not said to be taken, and is not proved free either.
    pub(crate) unproved: Option<Unproved>,
}

/// Up to 512 pages on record, listed in a root page, for one call.
///
/// Custody makes one: whoever makes the call can only name pages whose fate is on record.
pub(crate) struct Window<'id> {
    word: HpaListInfo,
    _brand: Brand<'id>,
}

/// What one call for a [`Window`] came to. Custody believes it, so only those who made the call can
/// make one, and it is good for that window only.
pub(crate) struct Added<'id> {
    status: Status,
    back: HpaListInfo,
    _brand: Brand<'id>,
}

impl Added<'_> {
    /// The status, and the list word that came back, unchecked.
    ///
    /// # Safety
    ///
    /// The leaf was called with the window's word and ended so. If `status` says that it was not
    /// executed, no earlier call with the word was: not even one that said "busy".
    pub(crate) unsafe fn new(status: Status, back: HpaListInfo) -> Self {
        Self {
            status,
            back,
            _brand: PhantomData,
        }
    }
}

impl Window<'_> {
    /// The operand.
    pub(crate) fn word(&self) -> HpaListInfo {
        self.word
    }
}

/// How far feeding came, in pages from the first.
struct Progress {
    taken: usize,
    offered: usize,
    stopped: Option<Stopped>,
}

/// Hands all pages of `memory` over, to be held for good.
///
/// `call` makes one SEAMCALL with the window's word and gives back the status and the word that
/// came. INTERRUPTED_RESUMABLE promises progress, so a word that has not moved on ends it: no bound
/// on time is needed. [`Err`] if no SEAMCALL was made; the memory is back with it. Sleeps.
pub(crate) fn hand_over_for_good<P: Platform>(
    platform: &P,
    user: &P::User,
    memory: P::Memory,
    call: impl for<'id> FnMut(&Window<'id>) -> Added<'id>,
) -> Result<Fed, (Refusal, P::Memory)> {
    let (entry, mut lent) = platform.enter(user, memory)?;
    let pages = lent.pages();
    lent.flush(platform);
    let Progress {
        taken,
        offered,
        stopped,
    } = feed(platform, lent.memory(), call);

    lent.never_offered(offered..pages);
    let unproved = lent.prove(platform, taken..offered);
    let freed = lent.settle();
    let held = lent.owing();
    if held == 0 {
        drop(lent);
        platform.strike(entry);
    } else {
        platform.put(&entry, lent, State::HeldForGood);
    }
    Ok(Fed {
        held,
        freed,
        stopped,
        unproved,
    })
}

/// Hands all pages over by calls as above, but for a leaf that releases them: for `make bench`, which
/// measures lists that no such leaf of the interface takes.
#[cfg(TDX_PAGES_BENCH)]
pub(crate) fn add_all<'r, P: Platform>(
    platform: &P,
    recorded: Recorded<'r, P::Memory>,
    call: impl for<'id> FnMut(&Window<'id>) -> Added<'id>,
) -> Answer<'r> {
    let progress = feed(platform, recorded.memory(), call);
    let status = match progress.stopped {
        None => Status::SUCCESS,
        Some(_) => return Answer::failed(Status::OPERAND_INVALID),
    };
    // SAFETY: The leaf was called until it had taken all pages.
    unsafe { Answer::ended(status) }
}

/// Makes the calls.
fn feed<P: Platform>(
    platform: &P,
    memory: &P::Memory,
    mut call: impl for<'id> FnMut(&Window<'id>) -> Added<'id>,
) -> Progress {
    let mut progress = Progress {
        taken: 0,
        offered: 0,
        stopped: None,
    };
    let pages = memory.pages();
    pass();
    let mut hpas = memory.hpas();
    // Not by what `fill` says: a root page is not borrowed for nothing.
    while progress.taken < pages {
        let mut root = platform.root();
        let window = hpas.up_to(ROOT_ENTRIES).map(|hpa| hpa.get());
        let Some(entries) = root.fill(window) else {
            return progress;
        };
        let root = root.publish();
        let start = progress.taken;
        let mut word = HpaListInfo::new(entries, root.hpa());
        // Each round but the last moves the first entry on: at most 512.
        loop {
            let window = Window {
                word,
                _brand: PhantomData,
            };
            let Added { status, back, .. } = call(&window);
            let interrupted = status.masked() == Status::INTERRUPTED_RESUMABLE;
            if status.is_not_executed() && word.first() == 0 {
                // This window has reached nobody.
                progress.stopped = Some(Stopped::Status(status));
                return progress;
            }
            progress.offered = start + entries.get();
            if status.is_success() {
                // The word is not looked at: a complete one must never be fed again.
                progress.taken = progress.offered;
                break;
            }
            let stopped = match word.processed(back) {
                Err(problem) if interrupted => Stopped::Word(problem),
                Ok(0) if interrupted => Stopped::Stalled,
                Ok(moved) => {
                    progress.taken += moved;
                    if interrupted {
                        word = back;
                        continue;
                    }
                    ended(status)
                }
                // A final status beside a word that does not tell how many were taken: the proof
                // finds out, page by page. After success it may well be that of a complete list.
                Err(_) => ended(status),
            };
            progress.stopped = Some(stopped);
            return progress;
        }
    }
    progress
}

/// Why feeding stops at a final status that is not plain success.
const fn ended(status: Status) -> Stopped {
    if status.is_success_class() {
        Stopped::Note(status)
    } else {
        Stopped::Status(status)
    }
}

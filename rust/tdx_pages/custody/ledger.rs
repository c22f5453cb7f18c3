// SPDX-License-Identifier: GPL-2.0

//! The ledger: a record of everything that is handed over, from hand-over on.
//!
//! A record owns the memory. A handle ([`Held`](super::transitions::Held)) only points at it, so
//! dropping or forgetting one loses nothing. What a record may need later, a bit for each page
//! above all, is reserved when it is made: going into quarantine cannot fail.
//!
//! # Locks
//!
//! 1. `Ledger::book`, a mutex, for the tree of records.
//! 2. `Record::cell`, a mutex, for one record's memory. It is taken for a moment, to move the
//!    memory out or in; whoever works on the memory holds no lock. No SEAMCALL is made under
//!    either.
//!
//! Dropping a handle takes neither: it sets `Record::dropped`, and may happen in any context.

use super::{
    lent::Lent,
    memory::{
        Memory,
        Refusal, //
    },
    transitions::{
        State,
        Why, //
    }, //
};
use crate::mm::Blocks;
use crate::platform::Kernel;
use crate::users::registry::Owner;
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            Atomic,
            Release, //
        },
        Arc,
        Mutex, //
    }, //
};

/// One object that was handed over.
#[pin_data]
pub(crate) struct Record {
    owner: Owner,
    dropped: Atomic<bool>,
    #[pin]
    cell: Mutex<Cell>,
}

struct Cell {
    // `None` while somebody works on it.
    lent: Option<Lent<Kernel>>,
    // What the owner's account says of this record; `None` before the first answer.
    booked: Option<Booked>,
}

#[derive(Clone, Copy)]
struct Booked {
    state: State,
    pages: usize,
}

/// One bit for each page.
pub(crate) struct Bits(KVVec<u64>);

impl AsRef<[u64]> for Bits {
    fn as_ref(&self) -> &[u64] {
        &self.0
    }
}

impl AsMut<[u64]> for Bits {
    fn as_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

/// The records of one attachment.
#[pin_data]
pub(crate) struct Ledger {
    #[pin]
    book: Mutex<Book>,
}

struct Book {
    // By the address of the record, which is its own while it is in here.
    records: RBTree<usize, Arc<Record>>,
    closed: bool,
}

/// What an attachment leaves behind, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// Held for good: the contract, not a loss.
    pub(crate) held_for_good: usize,
    /// Not let go by the TDX Module.
    pub(crate) lost: usize,
}

fn key(record: &Arc<Record>) -> usize {
    core::ptr::from_ref::<Record>(record).addr()
}

impl Ledger {
    /// An empty ledger.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            book <- new_mutex!(Book {
                records: RBTree::new(),
                closed: false,
            }),
        })
    }

    /// See [`Platform::enter`](super::memory::Platform::enter).
    pub(crate) fn enter(
        &self,
        owner: &Owner,
        memory: Blocks,
    ) -> Result<Arc<Record>, (Refusal, Blocks)> {
        let pages = memory.pages();
        if pages == 0 {
            return Err((Refusal::Size, memory));
        }
        let Ok((record, node, bits)) = Self::reserve(owner, pages) else {
            return Err((Refusal::NoMemory, memory));
        };
        let mut book = self.book.lock();
        if book.closed {
            return Err((Refusal::Closed, memory));
        }
        record.cell.lock().lent = Some(Lent::new(memory, bits));
        book.records
            .insert(node.into_node(key(&record), record.clone()));
        Ok(record)
    }

    /// All that a record will ever need.
    fn reserve(owner: &Owner, pages: usize) -> Result<Reserved> {
        let record = Arc::pin_init(
            pin_init!(Record {
                owner: owner.clone(),
                dropped: Atomic::new(false),
                cell <- new_mutex!(Cell {
                    lent: None,
                    booked: None,
                }),
            }),
            GFP_KERNEL,
        )?;
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let bits = Bits(KVVec::zeroed(Lent::<Kernel>::words(pages), GFP_KERNEL)?);
        Ok((record, node, bits))
    }

    /// See [`Platform::strike`](super::memory::Platform::strike).
    pub(crate) fn strike(&self, record: Arc<Record>) {
        record.book(None);
        let node = self.book.lock().records.remove_node(&key(&record));
        // Freed without the lock.
        drop(node);
    }

    /// Ends the ledger: no record is entered any more, and each page that is neither back nor held
    /// for good is put to the proof one last time. What is not proved then stays with the TDX
    /// Module, is said once for each object, and cannot be found again.
    pub(crate) fn close(&self, platform: &Kernel) -> Remains {
        self.book.lock().closed = true;
        let mut remains = Remains::default();
        while let Some(record) = self.pop() {
            let Some(lent) = record.take() else {
                continue;
            };
            let booked = record.cell.lock().booked;
            if let Some(Booked {
                state: State::HeldForGood,
                ..
            }) = booked
            {
                remains.held_for_good += lent.owing();
            } else {
                remains.lost += record.give_up(platform, lent, booked);
            }
        }
        remains
    }

    /// After the software TDX Module forgot everything: proves and frees what was held for good, so
    /// that a test leaves no page behind. Returns how many pages came back.
    #[cfg(TDX_PAGES_KUNIT)]
    pub(crate) fn recover(&self, platform: &Kernel) -> usize {
        let mut recovered = 0;
        while let Some(record) = self.pop() {
            if let Some(mut lent) = record.take() {
                recovered += lent.retry(platform).0;
                record.book(None);
            }
        }
        recovered
    }

    fn pop(&self) -> Option<Arc<Record>> {
        let mut book = self.book.lock();
        let front = book.records.cursor_front_mut()?;
        let (_, node) = front.remove_current();
        let (_, record) = node.to_key_value();
        Some(record)
    }
}

type Reserved = (Arc<Record>, RBTreeNodeReservation<usize, Arc<Record>>, Bits);

impl Record {
    /// See [`Platform::take`](super::memory::Platform::take).
    pub(crate) fn take(&self) -> Option<Lent<Kernel>> {
        self.cell.lock().lent.take()
    }

    /// See [`Platform::put`](super::memory::Platform::put).
    pub(crate) fn put(&self, lent: Lent<Kernel>, state: State) {
        let (pages, owing) = (lent.pages(), lent.owing());
        self.book(Some(Booked {
            state,
            pages: owing,
        }));
        self.cell.lock().lent = Some(lent);
        if let State::Quarantined(cause) = state {
            pr_err!(
                "{}: {} of {} pages quarantined, {}: {} answered {}\n",
                self.owner,
                owing,
                pages,
                cause.why.text(),
                cause.leaf,
                cause.status
            );
            if let Some(page) = cause.unproved {
                pr_err!(
                    "{}: the first is page {}, whose proof answered {}; they stay out of use until the TDX Module lets go of them\n",
                    self.owner,
                    page.index,
                    page.status
                );
            }
        }
    }

    /// See [`Platform::dropped`](super::memory::Platform::dropped).
    pub(crate) fn dropped(&self) {
        self.dropped.store(true, Release);
        pr_warn!(
            "{}: dropped while held: its pages stay with the TDX Module until they are proved\n",
            self.owner
        );
    }

    /// Tells the owner's account how this record stands now.
    fn book(&self, now: Option<Booked>) {
        let before = core::mem::replace(&mut self.cell.lock().booked, now);
        self.owner.account().book(
            before.map(|booked| (booked.state, booked.pages)),
            now.map(|booked| (booked.state, booked.pages)),
        );
    }

    /// The last try; returns the pages that are lost.
    fn give_up(&self, platform: &Kernel, mut lent: Lent<Kernel>, booked: Option<Booked>) -> usize {
        let (freed, unproved) = lent.retry(platform);
        let lost = lent.owing();
        let why = match booked {
            Some(Booked {
                state: State::Quarantined(cause),
                ..
            }) => cause.why,
            _ => Why::DroppedWhileHeld,
        };
        if let Some(Booked { state, .. }) = booked {
            self.book(Some(Booked { state, pages: lost }));
            self.owner.account().lose(state, lost);
        }
        if let Some(page) = unproved {
            pr_err!(
                "{}: {} pages stay with the TDX Module and are lost until the next boot ({}; the proof of page {} answered {}), {} came back\n",
                self.owner,
                lost,
                why.text(),
                page.index,
                page.status,
                freed
            );
        } else if freed > 0 {
            pr_info!("{}: {} pages proved at the last try\n", self.owner, freed);
        }
        lost
    }
}

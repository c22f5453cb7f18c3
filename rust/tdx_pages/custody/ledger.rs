// SPDX-License-Identifier: GPL-2.0

//! The ledger: a record of everything that is handed over, from hand-over on.
//!
//! A record owns the memory. A handle ([`Held`](super::transitions::Held)) only points at it, so
//! dropping or forgetting one loses nothing. What a record may need later, a bit for each page
//! above all, is reserved when it is made: going into quarantine cannot fail.
//!
//! # Locks
//!
//! 1. `Ledger::books`, each a mutex, for a share of the records: which one is said by the address of the
//!    record, so that objects that have nothing to do with each other seldom meet.
//! 2. `Record::cell`, a mutex, for one record's memory. It is taken for a moment, to move the
//!    memory out or in; whoever works on the memory holds no lock. No SEAMCALL is made under
//!    either, and neither is taken inside the other.
//!
//! Dropping a handle takes neither: it sets `Record::dropped`, and may happen in any context.

pub(crate) use super::record::{
    Bits,
    Record,
    Remains,
    Round,
    Shown, //
};
use super::{
    lent::Lent,
    memory::{
        Entered,
        Memory,
        Refusal, //
    }, //
};
use crate::mm::Blocks;
use crate::platform::Kernel;
use crate::trace;
use crate::users::registry::Owner;
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// The records of one attachment.
#[pin_data]
pub(crate) struct Ledger {
    #[pin]
    books: [Mutex<Book>; BOOKS],
}

/// Among how many books the records are divided.
const BOOKS: usize = 64;

struct Book {
    // By the address of the record, which is its own while it is in here.
    records: RBTree<usize, Arc<Record>>,
    closed: bool,
}

/// In which book the record at an address is. Records are some 256 bytes large.
const fn place(key: usize) -> usize {
    (key >> 8 ^ key >> 14) % BOOKS
}

fn key(record: &Arc<Record>) -> usize {
    core::ptr::from_ref::<Record>(record).addr()
}

impl Ledger {
    /// An empty ledger.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            books <- ::pin_init::pin_init_array_from_fn(|_| new_mutex!(Book {
                records: RBTree::new(),
                closed: false,
            })),
        })
    }

    /// See [`Platform::enter`](super::memory::Platform::enter).
    pub(crate) fn enter(&self, owner: &Owner, memory: Blocks) -> Entered<Kernel> {
        let pages = memory.pages();
        if pages == 0 {
            return Err((Refusal::Empty, memory));
        }
        let Ok((record, node, bits)) = Self::reserve(owner, pages) else {
            return Err((Refusal::NoMemory, memory));
        };
        let key = key(&record);
        let mut book = self.book(key).lock();
        if book.closed {
            return Err((Refusal::Closed, memory));
        }
        book.records.insert(node.into_node(key, record.clone()));
        drop(book);
        trace::hand_over(owner, pages);
        Ok((record, Lent::new(memory, bits)))
    }

    /// The book of a record.
    fn book(&self, key: usize) -> &Mutex<Book> {
        // An index below the number of books.
        &self.books[place(key)]
    }

    /// All that a record will ever need.
    fn reserve(owner: &Owner, pages: usize) -> Result<Reserved> {
        let record = Arc::pin_init(Record::new(owner, u32::try_from(pages)?), GFP_KERNEL)?;
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let bits = Bits::new(Lent::<Kernel>::words(pages))?;
        Ok((record, node, bits))
    }

    /// See [`Platform::strike`](super::memory::Platform::strike).
    pub(crate) fn strike(&self, record: Arc<Record>) {
        record.strike();
        let key = key(&record);
        let node = self.book(key).lock().records.remove_node(&key);
        // Freed without the lock.
        drop(node);
        trace::back(record.owner(), record.pages());
    }

    /// Ends the ledger: no record is entered any more, and each page that is neither back nor held
    /// for good is put to the proof one last time. What is not proved then stays with the TDX
    /// Module, is said once for each object, and cannot be found again. A record that somebody
    /// works on has its last try when the memory is put back.
    pub(crate) fn close(&self, platform: &Kernel) -> Remains {
        for book in &self.books {
            book.lock().closed = true;
        }
        let mut remains = Remains::default();
        while let Some(record) = self.pop() {
            remains.add(record.close(platform));
        }
        remains
    }

    /// After the software TDX Module forgot everything: proves and frees what was held for good, so
    /// that a test leaves no page behind. Returns how many pages came back.
    #[cfg(any(TDX_PAGES_KUNIT, TDX_PAGES_BENCH))]
    pub(crate) fn recover(&self, platform: &Kernel) -> usize {
        let mut recovered = 0;
        while let Some(record) = self.pop() {
            if let Some(mut lent) = record.take() {
                recovered += lent.retry(platform).0;
                record.strike();
            }
        }
        recovered
    }

    /// Tries again for everything in quarantine. No lock is held meanwhile, so records may come and
    /// go; one that is worked on by somebody else is passed over. Sleeps.
    pub(crate) fn retry(&self, platform: &Kernel) -> Round {
        let mut round = Round::default();
        self.each(|record| {
            round.add(record.retry(platform));
            if record.is_empty() {
                self.strike(record);
            }
        });
        round
    }

    /// Calls `f` for each record, one after the other, without a lock.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Record)) {
        self.each(|record| f(&record));
    }

    /// The same, with a share in each record.
    fn each(&self, mut f: impl FnMut(Arc<Record>)) {
        for book in &self.books {
            let mut from = 0;
            while let Some((at, record)) = Self::next(book, from) {
                f(record);
                let Some(next) = at.checked_add(1) else {
                    break;
                };
                from = next;
            }
        }
    }

    /// The first record of a book at or after `from`.
    fn next(book: &Mutex<Book>, from: usize) -> Option<(usize, Arc<Record>)> {
        let book = book.lock();
        let cursor = book.records.cursor_lower_bound(&from)?;
        let (at, record) = cursor.current();
        Some((*at, record.clone()))
    }

    fn pop(&self) -> Option<Arc<Record>> {
        self.books.iter().find_map(|book| {
            let mut book = book.lock();
            let front = book.records.cursor_front_mut()?;
            let (_, node) = front.remove_current();
            let (_, record) = node.to_key_value();
            Some(record)
        })
    }
}

type Reserved = (Arc<Record>, RBTreeNodeReservation<usize, Arc<Record>>, Bits);

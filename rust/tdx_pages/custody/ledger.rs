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
//!    record, so that objects that have nothing to do with each other seldom meet. It is taken twice
//!    in a life, to put the record into a list and to take it out again, for a few instructions.
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
    list::{
        List,
        ListArc, //
    },
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        UniqueArc, //
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

/// A share of the records.
///
/// # Invariants
///
/// Every record in the list has the address of this book for its `home`, and got it when it was put in,
/// which it is once.
struct Book {
    // In the order of their numbers.
    records: List<Record>,
    // The number of the last one.
    last: u64,
    closed: bool,
}

/// In which book the record at an address is. Records are some 256 bytes large.
const fn place(key: usize) -> usize {
    (key >> 8 ^ key >> 14) % BOOKS
}

/// What a record has for its `home`.
fn home(book: &Mutex<Book>) -> usize {
    core::ptr::from_ref(book).addr()
}

impl Ledger {
    /// An empty ledger.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            books <- ::pin_init::pin_init_array_from_fn(|_| new_mutex!(Book {
                // INVARIANT: There is no record.
                records: List::new(),
                last: 0,
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
        let Ok((record, bits)) = Self::reserve(owner, pages) else {
            return Err((Refusal::NoMemory, memory));
        };
        let entry = record.clone_arc();
        let of_it = self.book(&entry);
        let mut book = of_it.lock();
        if book.closed {
            return Err((Refusal::Closed, memory));
        }
        book.last += 1;
        // INVARIANT: It has its home this moment, and was made for this.
        entry.shelve(home(of_it), book.last);
        book.records.push_back(record);
        drop(book);
        trace::hand_over(owner, pages);
        Ok((entry, Lent::new(memory, bits)))
    }

    /// The book of a record.
    fn book(&self, record: &Record) -> &Mutex<Book> {
        // An index below the number of books.
        &self.books[place(core::ptr::from_ref(record).addr())]
    }

    /// All that a record will ever need.
    fn reserve(owner: &Owner, pages: usize) -> Result<(ListArc<Record>, Bits)> {
        let record = Record::new(owner, u32::try_from(pages)?);
        let record = UniqueArc::pin_init(record, GFP_KERNEL)?;
        let bits = Bits::new(Lent::<Kernel>::words(pages))?;
        Ok((record.into(), bits))
    }

    /// See [`Platform::strike`](super::memory::Platform::strike).
    pub(crate) fn strike(&self, record: Arc<Record>) {
        record.strike();
        let book = self.book(&record);
        // One of another ledger is not ours to strike.
        let listed = if record.home() == home(book) {
            // SAFETY: By the invariant of `Book` it is in this list or in none: it has been in no
            // other, for this is its home.
            unsafe { book.lock().records.remove(&record) }
        } else {
            None
        };
        // Without the lock, should it be the last share.
        drop(listed);
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
            let mut after = 0;
            while let Some(record) = Self::next(book, after) {
                after = record.number();
                f(record);
            }
        }
    }

    /// The first record of a book whose number is larger. Looked for from the front each time: a book
    /// has a 64th of the records, and who asks for all of them is in no hurry.
    fn next(book: &Mutex<Book>, after: u64) -> Option<Arc<Record>> {
        let book = book.lock();
        let next = book.records.iter().find(|record| record.number() > after);
        next.map(Arc::from)
    }

    fn pop(&self) -> Option<Arc<Record>> {
        let mut books = self.books.iter();
        books.find_map(|book| Some(book.lock().records.pop_front()?.into_arc()))
    }
}

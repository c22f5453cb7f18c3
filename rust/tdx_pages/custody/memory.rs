// SPDX-License-Identifier: GPL-2.0

//! What custody needs from memory and from below.

use super::{
    lent::Lent,
    transitions::State, //
};
use crate::abi::{
    block::Hpas,
    list::Entries,
    Block,
    Hpa,
    Status,
    ROOT_ENTRIES, //
};

/// Tells `make bench` that all pages of a list are gone through now.
#[inline(always)]
pub(crate) fn pass() {
    #[cfg(TDX_PAGES_BENCH)]
    // SAFETY: No preconditions.
    unsafe {
        crate::bindings::tdx_pages_bench_pass()
    };
}

/// Memory that can name its 4 KiB pages.
///
/// A value of such a type owns its pages and frees them when it is dropped: it is in the state
/// "host". Custody takes it apart when it is handed over, and only custody calls the unsafe
/// functions.
///
/// # Safety
///
/// A value owns the pages of its blocks, and nothing but dropping it, or the unsafe functions,
/// frees one.
pub(crate) unsafe trait Memory: Sized {
    /// The blocks, in the order in which their pages are counted. Their number and order never
    /// change.
    fn blocks(&self) -> &[Block];

    /// How many of the first blocks are folios: they cannot be split, and are freed as a whole.
    fn folios(&self) -> usize;

    /// Frees block `index`, which has not been split.
    ///
    /// # Safety
    ///
    /// Every page of the block is proved, or was never offered to the TDX Module; no page of it
    /// has been freed; [`Memory::forget_pages`] is how this memory ends.
    unsafe fn free_block(&mut self, index: usize);

    /// Makes single pages of block `index`, which is not a folio and has not been split.
    ///
    /// # Safety
    ///
    /// No page of the block has been freed, and from now on its pages are freed one by one.
    unsafe fn split_block(&mut self, index: usize);

    /// Frees one page of a block that has been split.
    ///
    /// # Safety
    ///
    /// The page is proved, or was never offered to the TDX Module, and has not been freed;
    /// [`Memory::forget_pages`] is how this memory ends.
    unsafe fn free_page(&mut self, page: Hpa);

    /// Ends the bookkeeping and frees no page. Safe, as any leak is.
    fn forget_pages(self);

    /// The number of 4 KiB pages.
    fn pages(&self) -> usize {
        self.blocks().iter().map(|block| block.pages()).sum()
    }

    /// All pages, in order.
    #[inline]
    fn hpas(&self) -> Hpas<'_> {
        Hpas::new(self.blocks())
    }
}

/// What is handed over: some form of memory, and the way back from memory to that form.
pub(crate) trait Lend: Sized {
    /// The memory inside.
    type Memory: Memory;

    /// The memory while it is handed over.
    fn into_memory(self) -> Self::Memory;

    /// The form again. `memory` is what [`Lend::into_memory`] gave, all pages of it.
    fn from_memory(memory: Self::Memory) -> Self;
}

impl<M: Memory> Lend for M {
    type Memory = Self;

    fn into_memory(self) -> Self {
        self
    }

    fn from_memory(memory: Self) -> Self {
        memory
    }
}

/// A borrowed root page that nobody else can reach yet.
///
/// Filling it and telling its address exclude each other: [`RootPage::publish`] ends the first
/// and is the only way to the second.
///
/// # Safety
///
/// The words are those of the page at the address that [`RootPage::publish`] brings, and are
/// reached in no other way.
pub(crate) unsafe trait RootPage {
    /// The same page once the TDX Module may read and write it.
    type Published: PublishedRoot;

    /// The words of the page, of which stale ones are left from former borrowers.
    fn words(&mut self) -> &mut [u64; ROOT_ENTRIES];

    /// Gives up the exclusive access for the address.
    fn publish(self) -> Self::Published;

    /// Writes the words from the first on, and says how many there were; [`None`] if there were
    /// none, or more than fit. For an operand that tells their number.
    #[inline]
    fn fill(&mut self, words: impl Iterator<Item = u64>) -> Option<Entries> {
        let room = self.words();
        let mut n = 0_usize;
        words.for_each(|word| {
            if let Some(place) = room.get_mut(n) {
                *place = word;
            }
            // There are not that many words, and a check would cost as much as the rest.
            n = n.wrapping_add(1);
        });
        Entries::new(n)
    }

    /// The same, and clears the rest: where an operand has no count the TDX Module may read on, and
    /// must not find what a former borrower listed.
    fn fill_whole(&mut self, words: impl Iterator<Item = u64>) -> Option<Entries> {
        let entries = self.fill(words)?;
        self.words().get_mut(entries.get()..)?.fill(0);
        Some(entries)
    }
}

/// A root page that the TDX Module may read and write, until it is dropped.
///
/// # Safety
///
/// The page is nobody else's until the value is dropped.
pub(crate) unsafe trait PublishedRoot {
    /// Its HPA.
    fn hpa(&self) -> Hpa;

    /// A word as it stands now; [`None`] past the end. It may have been written by the TDX Module.
    fn word(&self, index: usize) -> Option<u64>;
}

/// Why a hand-over was not even begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no memory for the record, without which nothing is handed over.
    NoMemory,
    /// The ledger is closed: the kernel module is on its way out.
    Closed,
    /// There are no pages.
    Empty,
    /// The system goes down.
    Down,
}

impl Refusal {
    /// A few words for messages.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::NoMemory => "there is no memory for its record",
            Self::Closed => "the ledger is closed",
            Self::Empty => "there are no pages",
            Self::Down => "the system goes down",
        }
    }
}

/// A record and its memory to work on; or why there is none, and the memory again.
pub(crate) type Entered<P> =
    Result<(<P as Platform>::Entry, Lent<P>), (Refusal, <P as Platform>::Memory)>;

/// The way down: what custody, and the users of it, need from below.
///
/// In the kernel it is implemented once, by the C wrappers and the kernel's own means; on the
/// host by the model of the TDX Module. A static type parameter, so that it costs nothing.
///
/// # Safety
///
/// [`Platform::prove`] tells success only if the proof succeeded; [`Platform::prove_run`] goes through
/// all pages that it is given, in order; [`Platform::enter`] and [`Platform::take`] give the memory of
/// a record to one caller at a time.
pub(crate) unsafe trait Platform: Clone {
    /// The memory that is handed over.
    type Memory: Memory;
    /// One bit for each page of an object, reserved at hand-over.
    type Bits: AsRef<[u64]> + AsMut<[u64]>;
    /// Who hands over.
    type User;
    /// A record in the ledger.
    type Entry: Clone;
    /// A borrowed root page.
    type Root<'a>: RootPage
    where
        Self: 'a;

    /// The proof: TDH.PHYMEM.PAGE.WBINVD on one page with the global KeyID. After a success the
    /// page is fit for the host, on CPUs with the partial-write erratum too, for which it is
    /// cleared.
    ///
    /// # Safety
    ///
    /// The page is one of [`Lent`], and nobody else accesses it.
    unsafe fn prove(&self, page: Hpa) -> Status;

    /// The same on some pages, at most 64, each by itself. Bit k of what it gives is set if page k of
    /// them is proved; `failed` is told the others, and what was said of them.
    ///
    /// # Safety
    ///
    /// As for [`Platform::prove`], for each of the pages.
    unsafe fn prove_run(
        &self,
        pages: impl Iterator<Item = Hpa>,
        mut failed: impl FnMut(usize, Status),
    ) -> u64 {
        let mut proved = 0;
        for (n, page) in (0..64).zip(pages) {
            // SAFETY: As this function's requirement.
            let status = unsafe { self.prove(page) };
            if status.is_success() {
                proved |= 1 << n;
            } else {
                failed(n, status);
            }
        }
        proved
    }

    /// TDH.PHYMEM.PAGE.RECLAIM on one page: the way back of what belonged to something torn down.
    ///
    /// # Safety
    ///
    /// As for [`Platform::prove`].
    unsafe fn reclaim(&self, page: Hpa) -> Status;

    /// Flushes blocks from the caches before they are handed over, if the TDX Module asks for it.
    ///
    /// # Safety
    ///
    /// The blocks are those of [`Lent`].
    unsafe fn flush(&self, blocks: &[Block]);

    /// Borrows a root page for one call; waits for one rather than fail.
    fn root(&self) -> Self::Root<'_>;

    /// Records memory that is about to be handed over, and gives it to the caller to work on, as
    /// [`Platform::take`] does. Whatever the record may need later is reserved here; a refusal
    /// gives the memory back.
    fn enter(&self, user: &Self::User, memory: Self::Memory) -> Entered<Self>;

    /// Takes the memory out of its record to work on it without a lock. [`None`] while somebody
    /// else does.
    fn take(&self, entry: &Self::Entry) -> Option<Lent<Self>>;

    /// Puts the memory back into its record in the state that it is in now. If the ledger has been
    /// closed in the meantime, it is given up instead.
    fn put(&self, entry: &Self::Entry, lent: Lent<Self>, state: State);

    /// Strikes a record whose memory was taken out and came back, all of it.
    fn strike(&self, entry: Self::Entry);

    /// A handle was dropped while its pages were held. Any context: no SEAMCALL, no sleep.
    fn dropped(&self, entry: &Self::Entry);
}

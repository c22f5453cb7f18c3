// SPDX-License-Identifier: GPL-2.0

//! Root pages: borrowed for one SEAMCALL, filled, published, returned.
//!
//! The TDX Module never keeps a root page, so no object owns one. There is a reserve of one for
//! each possible CPU and one more, so that a release never fails for want of a page. A borrower takes one with
//! a single exchange and no lock; when the reserve is empty it asks the allocator, and when that
//! is empty too it waits for another borrower to return, which each does after its SEAMCALL.

use crate::abi::{
    Hpa,
    ROOT_ENTRIES, //
};
use crate::bindings;
use crate::custody::memory::{
    PublishedRoot,
    RootPage, //
};
use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full, //
        },
        CondVar,
        Mutex, //
    }, //
};

/// The reserve of root pages.
///
/// # Invariants
///
/// A slot holds the HPA of a page that is owned by the reserve and by nobody else, or 0.
#[pin_data(PinnedDrop)]
pub(crate) struct Roots {
    slots: KVec<Atomic<u64>>,
    waiters: Atomic<u32>,
    #[pin]
    waiting: Mutex<()>,
    #[pin]
    returned: CondVar,
}

/// A zeroed page that the kernel has mapped.
fn alloc() -> Option<Hpa> {
    // SAFETY: No preconditions.
    let hpa = unsafe { bindings::tdx_pages_alloc_block(0, bindings::NUMA_NO_NODE, true) };
    Hpa::new(hpa).filter(|_| hpa != 0)
}

/// Where the kernel has `page` mapped.
fn mapped(page: Hpa) -> *mut [u64; ROOT_ENTRIES] {
    // SAFETY: Arithmetic only.
    unsafe { bindings::tdx_pages_va(page.get()) }.cast()
}

/// # Safety
///
/// `page` is a page of [`alloc`] that nobody uses any more.
unsafe fn free(page: Hpa) {
    // SAFETY: As this function's requirement.
    unsafe { bindings::tdx_pages_free_block(page.get(), 0) };
}

impl Roots {
    /// Fills the reserve. `ENOMEM` if it cannot.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            slots: Self::fill()?,
            waiters: Atomic::new(0),
            waiting <- new_mutex!(()),
            returned <- new_condvar!(),
        })
    }

    fn fill() -> Result<KVec<Atomic<u64>>> {
        // SAFETY: No preconditions.
        let cpus = unsafe { bindings::tdx_pages_possible_cpus() };
        // One more, because one may stay with a leaf that is given up.
        let wanted = usize::try_from(cpus)?.checked_add(1).ok_or(EINVAL)?;
        let mut slots = KVec::with_capacity(wanted, GFP_KERNEL)?;
        for _ in 0..wanted {
            let page = alloc();
            if let Some(page) = page {
                slots.push(Atomic::new(page.get()), GFP_KERNEL)?;
                continue;
            }
            for slot in &slots {
                if let Some(page) = Hpa::new(slot.load(Acquire)) {
                    // SAFETY: Nobody has borrowed from a reserve that is not made yet.
                    unsafe { free(page) };
                }
            }
            return Err(ENOMEM);
        }
        Ok(slots)
    }

    /// Borrows a page; sleeps if it must.
    pub(crate) fn borrow(&self) -> Root<'_> {
        if let Some(root) = self.take().or_else(|| self.extra()) {
            return root;
        }
        let mut guard = self.waiting.lock();
        // Before the next look, so that who returns a page after that look sees it.
        self.waiters.fetch_add(1, Full);
        loop {
            if let Some(root) = self.take() {
                self.waiters.fetch_sub(1, Full);
                return root;
            }
            self.returned.wait(&mut guard);
        }
    }

    /// Takes a page back that was kept away, after its leaf has come to its end.
    pub(crate) fn give_back(&self, Kept(page): Kept) {
        self.fill_a_slot(page);
    }

    /// Puts a page that nobody uses any more into an empty slot, if there is one.
    fn fill_a_slot(&self, page: Hpa) {
        // INVARIANT: The page goes from the caller to the slot.
        let found = self
            .slots
            .iter()
            .any(|slot| slot.cmpxchg(0, page.get(), Full).is_ok());
        if !found {
            // SAFETY: The caller owned it, and nobody uses it.
            unsafe { free(page) };
            return;
        }
        if self.waiters.load(Acquire) != 0 {
            // Whoever found no page holds the lock from its last look until it sleeps.
            drop(self.waiting.lock());
            self.returned.notify_one();
        }
    }

    /// One of the reserve.
    fn take(&self) -> Option<Root<'_>> {
        self.slots.iter().find_map(|slot| {
            let page = Hpa::new(slot.xchg(0, Full)).filter(|page| page.get() != 0)?;
            Some(Root {
                page,
                roots: self,
                reserved: true,
            })
        })
    }

    /// One that goes back to the allocator.
    fn extra(&self) -> Option<Root<'_>> {
        Some(Root {
            page: alloc()?,
            roots: self,
            reserved: false,
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Roots {
    fn drop(self: Pin<&mut Self>) {
        for slot in &self.slots {
            if let Some(page) = Hpa::new(slot.xchg(0, Full)).filter(|page| page.get() != 0) {
                // SAFETY: The slot owned it. Borrowers hold a reference to the reserve, so none
                // is left.
                unsafe { free(page) };
            }
        }
    }
}

/// A borrowed root page whose address nobody has been told.
///
/// # Invariants
///
/// `page` is owned by this value alone: it was taken out of its slot, or allocated.
pub(crate) struct Root<'a> {
    page: Hpa,
    roots: &'a Roots,
    // It is one of the reserve; else it goes back to the allocator.
    reserved: bool,
}

/// A root page of its own for an object whose list lasts longer than one call.
///
/// # Invariants
///
/// The page is from [`alloc`], and owned by this value alone.
pub(crate) struct Own(Hpa);

/// The same, when the TDX Module may be reading and writing it.
pub(crate) struct Lasting(Own);

impl Own {
    /// A zeroed one. `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        // INVARIANT: It was allocated this moment.
        Ok(Self(alloc().ok_or(ENOMEM)?))
    }
}

// SAFETY: The words are reached through this value alone, and `publish` brings the same page.
unsafe impl RootPage for Own {
    type Published = Lasting;

    fn words(&mut self) -> &mut [u64; ROOT_ENTRIES] {
        // SAFETY: As for `Root`.
        unsafe { &mut *mapped(self.0) }
    }

    fn publish(self) -> Lasting {
        Lasting(self)
    }
}

impl Lasting {
    /// See [`Published::keep`].
    pub(crate) fn keep(self) -> Kept {
        Kept(core::mem::ManuallyDrop::new(self).0 .0)
    }
}

// SAFETY: By the invariant of `Own` the page is owned by this value alone.
unsafe impl PublishedRoot for Lasting {
    fn hpa(&self) -> Hpa {
        self.0 .0
    }

    fn word(&self, index: usize) -> Option<u64> {
        read_word(self.0 .0, index)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: By the invariant; a leaf that may still use it has it kept away.
        unsafe { free(self.0) };
    }
}

/// Reads a word of a published page; [`None`] past the end.
fn read_word(page: Hpa, index: usize) -> Option<u64> {
    if index >= ROOT_ENTRIES {
        return None;
    }
    let words = mapped(page).cast::<u64>();
    // SAFETY: The callers own the page, it is mapped, and the index is within it. The read is
    // volatile because the TDX Module may write at any time.
    Some(unsafe { words.add(index).read_volatile() })
}

/// A root page that a leaf may still use that was left interrupted. Dropping it loses the page.
#[must_use]
pub(crate) struct Kept(Hpa);

/// A borrowed root page that the TDX Module may be reading and writing.
pub(crate) struct Published<'a>(Root<'a>);

// SAFETY: The words are reached through this value alone, and `publish` brings the same page.
unsafe impl<'a> RootPage for Root<'a> {
    type Published = Published<'a>;

    fn words(&mut self) -> &mut [u64; ROOT_ENTRIES] {
        // SAFETY: The page is one of the page allocator's, which all are mapped on x86-64; it is
        // 4096 bytes long and aligned, was zeroed when it was allocated, is owned by this value
        // alone, and its address is known to nobody else: that takes `publish`, which consumes it.
        unsafe { &mut *mapped(self.page) }
    }

    fn publish(self) -> Published<'a> {
        Published(self)
    }
}

impl Published<'_> {
    /// The TDX Module may still use the page, for as long as nobody knows: it stays away until
    /// [`Roots::give_back`].
    pub(crate) fn keep(self) -> Kept {
        Kept(core::mem::ManuallyDrop::new(self).0.page)
    }
}

// SAFETY: By the invariant of `Root` the page is owned by this value alone.
unsafe impl PublishedRoot for Published<'_> {
    fn hpa(&self) -> Hpa {
        self.0.page
    }

    fn word(&self, index: usize) -> Option<u64> {
        read_word(self.0.page, index)
    }
}

impl Drop for Root<'_> {
    fn drop(&mut self) {
        if self.reserved {
            // Any empty slot will do: another page may have been given back into its own.
            self.roots.fill_a_slot(self.page);
        } else {
            // SAFETY: The page is from `alloc` and owned by this value. The TDX Module keeps no
            // root page past its call.
            unsafe { free(self.page) };
        }
    }
}

#[cfg(TDX_PAGES_KUNIT)]
#[kunit_tests(tdx_pages_root)]
mod tests {
    use super::*;

    #[test]
    fn words_are_seen_at_the_address() -> Result {
        let roots = KBox::pin_init(Roots::new(), GFP_KERNEL)?;
        let mut root = roots.borrow();
        let entries = root.fill((0..512).map(|i| i * 4096)).ok_or(EINVAL)?;
        expect_eq!(entries.get(), 512);
        let root = root.publish();
        expect_eq!(root.hpa().get() % 4096, 0);
        expect_eq!(root.word(0), Some(0));
        expect_eq!(root.word(511), Some(511 * 4096));
        expect_eq!(root.word(512), None);
        Ok(())
    }

    #[test]
    fn no_words_or_too_many_are_refused() -> Result {
        let roots = KBox::pin_init(Roots::new(), GFP_KERNEL)?;
        expect!(roots.borrow().fill(core::iter::empty()).is_none());
        expect!(roots.borrow().fill(0..513).is_none());
        expect!(roots.borrow().fill(0..1).is_some());
        Ok(())
    }

    fn ready(roots: &Roots) -> usize {
        roots
            .slots
            .iter()
            .filter(|slot| slot.load(Acquire) != 0)
            .count()
    }

    #[test]
    fn the_reserve_is_as_large_as_before() -> Result {
        let roots = KBox::pin_init(Roots::new(), GFP_KERNEL)?;
        let all = ready(&roots);
        // One is kept away, and is given back while the one of the first slot is out.
        let first = roots.borrow();
        let kept = roots.borrow().publish().keep();
        expect_eq!(ready(&roots), all - 2);
        roots.give_back(kept);
        drop(first);
        expect_eq!(ready(&roots), all);
        Ok(())
    }

    #[test]
    fn words_of_former_borrowers_are_gone() -> Result {
        let roots = KBox::pin_init(Roots::new(), GFP_KERNEL)?;
        let mut root = roots.borrow();
        let _ = root.fill((0..512).map(|_| u64::MAX)).ok_or(EINVAL)?;
        drop(root);
        let mut root = roots.borrow();
        let _ = root.fill((0..3).map(|_| 7)).ok_or(EINVAL)?;
        let root = root.publish();
        expect!((0..3).all(|index| root.word(index) == Some(7)));
        expect!((3..512).all(|index| root.word(index) == Some(0)));
        Ok(())
    }

    #[test]
    fn more_borrowers_than_the_reserve_has() -> Result {
        let roots = KBox::pin_init(Roots::new(), GFP_KERNEL)?;
        let mut borrowed = KVec::new();
        for _ in 0..roots.slots.len() + 3 {
            borrowed.push(roots.borrow(), GFP_KERNEL)?;
        }
        for (index, root) in borrowed.iter().enumerate() {
            let same = borrowed.iter().filter(|other| other.page == root.page);
            expect_eq!((index, same.count()), (index, 1));
        }
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! One safe function per leaf, and the only caller of the C SEAMCALL wrappers.
//!
//! Pages are named by what custody made of memory on record, statuses go as [`Status`]; registers
//! stay in C. Each function may sleep. [`resumed`] has the leaves that the TDX Module resumes
//! internally, [`mem_add`] the one that carries its progress in a list word, [`until`] the rule by
//! which a leaf is called again, [`slot`] the one slot for extension SEAMCALLs, [`counters`] what was
//! answered, and how soon.

pub(crate) mod call;
pub(crate) mod counters;
mod ide;
pub(crate) mod ids;
mod iommu;
mod mem_add;
pub(crate) mod metadata;
pub(crate) mod profile;
mod read;
mod resumed;
pub(crate) mod slot;
pub(crate) mod spdm;
pub(crate) mod took;
mod until;

use crate::abi::{
    field::Field,
    Hpa,
    Leaf,
    Status,
    PAGE_SIZE, //
};
use crate::bindings;
use crate::custody::transitions::Answer;
use crate::linux::synchronize_rcu;
use crate::mm::root::Roots;
use crate::trace;
use counters::{
    ticks,
    Counters, //
};
use ids::Ids;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        rcu,
        Mutex,
        MutexGuard, //
    },
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};
use profile::Profile;
use read::Fields;

/// How long a leaf is called again while it is interrupted or busy. INTERRUPTED_RESUMABLE promises
/// progress, so it is a time and not a count; it ends what a wrong TDX Module would make last for
/// ever.
pub(crate) const PATIENCE: Delta = Delta::from_secs(10);

/// The pause after "busy". What is interrupted goes on at once.
const PAUSE: Delta = Delta::from_millis(1);

/// The pause of those who wait for more than the next call.
const LONG_PAUSE: Delta = Delta::from_millis(20);

/// The answer where a page is missing among those given, so that no leaf is called.
fn not_called<'id>() -> Answer<'id> {
    // SAFETY: Nothing is called, for the callers give up with it.
    unsafe { Answer::not_called(Status::OPERAND_INVALID) }
}

/// The seam to the TDX Module.
#[pin_data]
pub(crate) struct Seam {
    /// The KeyID that control pages are flushed with.
    keyid: u16,
    /// Control pages must be cleared with MOVDIR64B before the host uses them.
    pw_mce: bool,
    patience: Delta,
    /// A leaf wore the patience out, and none came to its end since: one try each has to do, lest
    /// many objects wait one after the other.
    worn: Atomic<bool>,
    /// The system goes down: no SEAMCALL is made any more.
    down: Atomic<bool>,
    /// Held from the first call of a leaf that the TDX Module resumes internally to its final
    /// status. The one lock held over a SEAMCALL. In it is a leaf that was given up before.
    #[pin]
    resumed: Mutex<Option<resumed::Pending>>,
    /// The gate before the one slot for extension SEAMCALLs: held over a whole exchange of messages,
    /// since the queue of the TDX Module is one deep. Before `resumed` in the order of locks.
    #[pin]
    slot: Mutex<()>,
    /// [`Profile::Late`] instead of [`Profile::V2`]. Set before anything is handed over.
    late: Atomic<bool>,
    /// A SEAMCALL found the TDX Module, or one of its fields, not ready, as during a run-time update.
    absent: Atomic<bool>,
    counters: Counters,
    fields: Fields,
    #[pin]
    ids: Ids,
    #[pin]
    roots: Roots,
}

impl Seam {
    /// Makes the seam. `keyid` is the global KeyID.
    pub(crate) fn new(keyid: u16, patience: Delta) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            keyid,
            // SAFETY: No preconditions.
            pw_mce: unsafe { bindings::tdx_pages_has_pw_mce() },
            patience,
            worn: Atomic::new(false),
            down: Atomic::new(false),
            resumed <- new_mutex!(None),
            slot <- new_mutex!(()),
            late: Atomic::new(false),
            absent: Atomic::new(false),
            counters: Counters::new()?,
            fields: Fields::new()?,
            ids <- Ids::new(),
            roots <- Roots::new(),
        })
    }

    /// Makes one SEAMCALL, or none if the system goes down: then the status is
    /// [`Status::HOST_DOWN`].
    fn once(&self, leaf: Leaf, call: impl FnOnce() -> u64) -> Status {
        let under_way = rcu::read_lock();
        if self.is_down() {
            #[cfg(TDX_PAGES_KUNIT)]
            crate::reached::answer(leaf, Status::HOST_DOWN);
            return Status::HOST_DOWN;
        }
        let begin = trace::seamcall_begins();
        let before = ticks();
        let status = call();
        let after = ticks();
        drop(under_way);
        // SAFETY: Every function here may sleep.
        unsafe { bindings::tdx_pages_resched() };
        let status = Status::from_raw(status);
        self.counters.took(leaf, 1, before, after);
        self.answered(leaf, status);
        if let Some(begin) = begin {
            trace::seamcall_ends(leaf, status, begin.elapsed());
        }
        status
    }

    /// Takes note of what a leaf answered.
    #[inline]
    fn answered(&self, leaf: Leaf, status: Status) {
        #[cfg(TDX_PAGES_KUNIT)]
        crate::reached::answer(leaf, status);
        // The proofs of many pages come by here.
        if !status.is_success() {
            self.not_plain(leaf, status);
        }
    }

    #[cold]
    fn not_plain(&self, leaf: Leaf, status: Status) {
        self.counters.answered(leaf, status);
        // During an update TDH.SYS.RD is answered, but fields of TDX Connect are not readable. `[I]`
        if matches!(
            status.masked(),
            Status::SYS_NOT_READY | Status::METADATA_FIELD_NOT_READABLE
        ) {
            self.absent.store(true, Relaxed);
        }
    }

    /// Whether the TDX Module was not ready since this was asked last.
    pub(crate) fn take_absence(&self) -> bool {
        self.absent.xchg(false, Relaxed)
    }

    /// The generation of the interface.
    pub(crate) fn profile(&self) -> Profile {
        if self.late.load(Relaxed) {
            Profile::Late
        } else {
            Profile::V2
        }
    }

    /// Chooses the generation of the interface, before anything is handed over.
    pub(crate) fn choose(&self, profile: Profile) {
        self.late.store(profile == Profile::Late, Relaxed);
    }

    /// Waits for the slot for extension SEAMCALLs; see [`slot`]. Sleeps.
    pub(crate) fn pass(&self) -> MutexGuard<'_, ()> {
        self.slot.lock()
    }

    /// The SEAMCALLs so far.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The metadata fields as they were read last.
    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The KeyID that control pages are flushed with.
    pub(crate) fn keyid(&self) -> u16 {
        self.keyid
    }

    /// The ids that are given.
    pub(crate) fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Waits a moment, for a TDX Module that cannot go on right now; `false` if that has been done
    /// for too long since `begin`, or if the system goes down. Sleeps.
    pub(crate) fn wait(&self, begin: Instant<Monotonic>) -> bool {
        if self.is_down() || begin.elapsed() > self.patience_now() {
            self.note(false);
            return false;
        }
        fsleep(LONG_PAUSE);
        true
    }

    /// The reserve of root pages.
    pub(crate) fn roots(&self) -> &Roots {
        &self.roots
    }

    /// How long it is tried when it matters.
    pub(crate) fn patience(&self) -> Delta {
        self.patience
    }

    /// How long it is tried now.
    fn patience_now(&self) -> Delta {
        if self.worn.load(Relaxed) {
            Delta::ZERO
        } else {
            self.patience
        }
    }

    /// Learns from the end of a leaf whether the next is worth waiting for.
    fn note(&self, ended: bool) {
        self.worn.store(!ended, Relaxed);
    }

    /// From now on no SEAMCALL is made; none is under way when this returns. Sleeps.
    pub(crate) fn go_down(&self) {
        self.down.store(true, Release);
        synchronize_rcu();
    }

    /// Whether no SEAMCALL is made any more.
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Acquire)
    }

    /// TDH.SYS.RD: the value of a metadata field, or the status other than success.
    pub(crate) fn sys_rd(&self, field: Field) -> Result<u64, Status> {
        let mut value = 0;
        // SAFETY: `value` outlives the call.
        let status = self.once(Leaf::SYS_RD, || unsafe {
            bindings::tdh_sys_rd(field.raw(), &mut value)
        });
        let answer = if status.is_success() {
            Ok(value)
        } else {
            Err(status)
        };
        self.fields.note(field, answer);
        answer
    }

    /// TDH.PHYMEM.PAGE.WBINVD with the global KeyID. On CPUs with the partial-write erratum the
    /// page is cleared after a success, so that the host may write to it.
    ///
    /// # Safety
    ///
    /// `page` is a page of the page allocator that custody has on record and that nobody accesses.
    pub(crate) unsafe fn phymem_page_wbinvd(&self, page: Hpa) -> Status {
        let keyid = u64::from(self.keyid);
        // SAFETY: The wrapper has no preconditions.
        let call = || unsafe { bindings::tdh_phymem_page_wbinvd_hkid(keyid, page.pfn()) };
        let status = self.once(Leaf::PHYMEM_PAGE_WBINVD, call);
        // SAFETY: As this function's requirement.
        unsafe { self.flushed(page, status) };
        status
    }

    /// The same for some pages, at most 64. Bit k of what it gives is set if it succeeded for page k
    /// of them; `failed` is told the others, and their statuses. They should be few: others wait
    /// meanwhile.
    ///
    /// # Safety
    ///
    /// As for [`Seam::phymem_page_wbinvd`], for each of the pages.
    #[inline]
    pub(crate) unsafe fn phymem_pages_wbinvd(
        &self,
        pages: impl Iterator<Item = Hpa>,
        mut failed: impl FnMut(usize, Status),
    ) -> u64 {
        let mut proved = 0;
        // What is to be done after each proof is not done for many.
        if self.pw_mce || trace::proofs_are_seen() {
            for (n, page) in (0..64).zip(pages) {
                // SAFETY: As this function's requirement.
                let status = unsafe { self.phymem_page_wbinvd(page) };
                if status.is_success() {
                    proved |= 1 << n;
                } else {
                    failed(n, status);
                }
            }
            return proved;
        }
        let leaf = Leaf::PHYMEM_PAGE_WBINVD;
        let keyid = u64::from(self.keyid);
        // CAST: At most 64.
        let number = |bit: u64| bit.trailing_zeros() as usize;
        let under_way = rcu::read_lock();
        if self.is_down() {
            let all = (0..64).zip(pages);
            all.for_each(|(n, _)| failed(n, Status::HOST_DOWN));
            return 0;
        }
        // The bit of the next page; none behind the last there is.
        let mut bit = 1_u64;
        let before = ticks();
        pages.for_each(|page| {
            // SAFETY: The wrapper has no preconditions.
            let raw = unsafe { bindings::tdh_phymem_page_wbinvd_hkid(keyid, page.pfn()) };
            let status = Status::from_raw(raw);
            self.answered(leaf, status);
            if status.is_success() {
                proved |= bit;
            } else {
                failed(number(bit), status);
            }
            bit <<= 1;
        });
        self.counters.took(leaf, number(bit), before, ticks());
        drop(under_way);
        // SAFETY: Every function here may sleep.
        unsafe { bindings::tdx_pages_resched() };
        proved
    }

    /// What is to be done after a proof: on some CPUs the page is cleared.
    ///
    /// # Safety
    ///
    /// As for [`Seam::phymem_page_wbinvd`], which said `status`.
    unsafe fn flushed(&self, page: Hpa, status: Status) {
        trace::proof(page, status);
        if status.is_success() && self.pw_mce {
            // SAFETY: The TDX Module let go of the page, which is mapped and which nobody uses, as
            // the caller promises.
            // CAST: `usize` has 64 bits on the one architecture that has TDX.
            unsafe { bindings::tdx_quirk_reset_paddr(page.get() as usize, PAGE_SIZE as usize) };
        }
    }

    /// TDH.PHYMEM.PAGE.RECLAIM. What it tells of the page is for diagnosis only and is dropped.
    ///
    /// # Safety
    ///
    /// As for [`Seam::phymem_page_wbinvd`].
    pub(crate) unsafe fn phymem_page_reclaim(&self, page: Hpa) -> Status {
        let (mut kind, mut owner, mut size) = (0, 0, 0);
        // SAFETY: The page has a `struct page`, as the caller promises; the outputs outlive the
        // call.
        self.once(Leaf::PHYMEM_PAGE_RECLAIM, || unsafe {
            let page = bindings::tdx_pages_page(page.get());
            bindings::tdh_phymem_page_reclaim(page, &mut kind, &mut owner, &mut size)
        })
    }

    /// TDH.PHYMEM.PAGE.RDMD: what the TDX Module has written down of a page, or the status other than
    /// success. It changes nothing, and fails on no type of page.
    // For diagnosis; the suites look at pages with it.
    #[cfg_attr(not(TDX_PAGES_KUNIT), expect(dead_code))]
    pub(crate) fn phymem_page_rdmd(&self, page: Hpa) -> Result<PageMetadata, Status> {
        let mut found = PageMetadata::default();
        let PageMetadata {
            page_type,
            owner,
            level,
            epoch,
        } = &mut found;
        let call = || {
            // SAFETY: The outputs outlive the call, and nothing else is written.
            unsafe { bindings::tdh_phymem_page_rdmd(page.get(), page_type, owner, level, epoch) }
        };
        match self.once(Leaf::PHYMEM_PAGE_RDMD, call) {
            status if status.is_success() => Ok(found),
            status => Err(status),
        }
    }
}

/// What the TDX Module has written down of a page; see [`Seam::phymem_page_rdmd`]. `[1]` M15
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageMetadata {
    /// The type: 0 is a page that belongs to nobody.
    pub(crate) page_type: u64,
    /// Whose it is; what that says depends on the type.
    pub(crate) owner: u64,
    /// The level of the page table that maps it, 0 for 4 KiB.
    pub(crate) level: u64,
    /// The generation; only some types have one.
    pub(crate) epoch: u64,
}

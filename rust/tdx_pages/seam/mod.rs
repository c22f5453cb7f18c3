// SPDX-License-Identifier: GPL-2.0

//! One safe function per leaf, and the only caller of the C SEAMCALL wrappers.
//!
//! Addresses come as types that custody made, statuses go as [`Status`]; registers stay in C.
//! Each function may sleep.

pub(crate) mod metadata;

use crate::abi::{
    field::Field,
    list::{
        HpaListInfo,
        IommuMt, //
    },
    Hpa,
    Status,
    PAGE_SIZE, //
};
use crate::bindings;
use crate::custody::transitions::Answer;
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// How long an interrupted leaf is resumed. INTERRUPTED_RESUMABLE promises progress, so it is a
/// time and not a count; it ends what a wrong TDX Module would make last for ever.
pub(crate) const PATIENCE: Delta = Delta::from_secs(30);

/// The seam to the TDX Module.
#[pin_data]
pub(crate) struct Seam {
    /// The KeyID that control pages are flushed with.
    keyid: u16,
    /// Control pages must be cleared with MOVDIR64B before the host uses them.
    pw_mce: bool,
    patience: Delta,
    /// Held from the first call of a leaf that the TDX Module resumes internally to its final
    /// status: what a call in between would do is not known. The one lock held over a SEAMCALL.
    #[pin]
    resumed: Mutex<()>,
}

/// TDH.SYS.RD: the value of a metadata field, or the status other than success.
pub(crate) fn sys_rd(field: Field) -> Result<u64, Status> {
    let mut value = 0;
    // SAFETY: `value` outlives the call.
    let status = Status::from_raw(unsafe { bindings::tdh_sys_rd(field.raw(), &mut value) });
    if status.is_success() {
        Ok(value)
    } else {
        Err(status)
    }
}

/// TDH.EXT.MEM.ADD, once: the status, and the list word that came back, unchecked.
pub(crate) fn ext_mem_add(word: HpaListInfo) -> (Status, HpaListInfo) {
    let mut back = 0;
    // SAFETY: `back` outlives the call.
    let status = unsafe { bindings::tdh_ext_mem_add(word.raw(), &mut back) };
    resched();
    (Status::from_raw(status), HpaListInfo::from_raw(back))
}

fn resched() {
    // SAFETY: Every function here may sleep.
    unsafe { bindings::tdx_pages_resched() };
}

impl Seam {
    /// Makes the seam. `keyid` is the global KeyID.
    pub(crate) fn new(keyid: u16, patience: Delta) -> impl PinInit<Self> {
        pin_init!(Self {
            keyid,
            // SAFETY: No preconditions.
            pw_mce: unsafe { bindings::tdx_pages_has_pw_mce() },
            patience,
            resumed <- new_mutex!(()),
        })
    }

    /// Calls a leaf that keeps its progress inside the TDX Module: again with the same operands
    /// while it says INTERRUPTED_RESUMABLE, until the patience is at an end.
    fn until_final(&self, mut call: impl FnMut() -> u64) -> Answer {
        let guard = self.resumed.lock();
        let begin = Instant::<Monotonic>::now();
        let answer = loop {
            let status = Status::from_raw(call());
            if status != Status::INTERRUPTED_RESUMABLE {
                break Answer::of(status);
            }
            if begin.elapsed() > self.patience {
                break Answer {
                    given_up: true,
                    ..Answer::of(status)
                };
            }
            resched();
        };
        drop(guard);
        answer
    }

    /// TDH.EXT.INIT.
    pub(crate) fn ext_init(&self) -> Answer {
        // SAFETY: The wrapper has no preconditions.
        self.until_final(|| unsafe { bindings::tdh_ext_init() })
    }

    /// TDH.IOMMU.SETUP on the remapping unit with this register base. The IOMMU id means
    /// something after success only.
    pub(crate) fn iommu_setup(&self, reg_base: u64, iommu_mt: IommuMt) -> (Answer, u64) {
        let mut id = 0;
        let answer = self.until_final(|| {
            // SAFETY: `id` outlives the call.
            unsafe { bindings::tdh_iommu_setup(reg_base, iommu_mt.raw(), &mut id) }
        });
        (answer, id)
    }

    /// TDH.IOMMU.CLEAR. `root` is a page that the list may be written to.
    pub(crate) fn iommu_clear(&self, id: u64, root: Hpa) -> Answer {
        // SAFETY: The wrapper has no preconditions.
        self.until_final(|| unsafe { bindings::tdh_iommu_clear(id, root.get()) })
    }

    /// TDH.PHYMEM.PAGE.WBINVD with the global KeyID. On CPUs with the partial-write erratum the
    /// page is cleared after a success, so that the host may write to it.
    pub(crate) fn phymem_page_wbinvd(&self, page: Hpa) -> Status {
        // SAFETY: The wrapper has no preconditions.
        let status =
            unsafe { bindings::tdh_phymem_page_wbinvd_hkid(u64::from(self.keyid), page.pfn()) };
        let status = Status::from_raw(status);
        if status.is_success() && self.pw_mce {
            // SAFETY: The TDX Module let go of the page, which is custody's and of the page
            // allocator, and so is mapped.
            // CAST: `usize` has 64 bits on the one architecture that has TDX.
            unsafe { bindings::tdx_quirk_reset_paddr(page.get() as usize, PAGE_SIZE as usize) };
        }
        status
    }

    /// TDH.PHYMEM.PAGE.RECLAIM. What it tells of the page is for diagnosis only and is dropped.
    pub(crate) fn phymem_page_reclaim(&self, page: Hpa) -> Status {
        let (mut kind, mut owner, mut size) = (0, 0, 0);
        // SAFETY: Custody names pages of the page allocator, which have a `struct page`; the
        // outputs outlive the call.
        let status = unsafe {
            let page = bindings::tdx_pages_page(page.get());
            bindings::tdh_phymem_page_reclaim(page, &mut kind, &mut owner, &mut size)
        };
        Status::from_raw(status)
    }
}

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
    Leaf,
    Status,
    PAGE_SIZE, //
};
use crate::bindings;
use crate::custody::{
    memory::PublishedRoot,
    transitions::Answer, //
};
use crate::mm::root::{
    Published,
    Roots, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// How long a leaf is called again while it is interrupted or busy. INTERRUPTED_RESUMABLE promises
/// progress, so it is a time and not a count; it ends what a wrong TDX Module would make last for
/// ever.
pub(crate) const PATIENCE: Delta = Delta::from_secs(10);

/// The pause after "busy". What is interrupted goes on at once.
const PAUSE: Delta = Delta::from_millis(1);

/// The seam to the TDX Module.
#[pin_data]
pub(crate) struct Seam {
    /// The KeyID that control pages are flushed with.
    keyid: u16,
    /// Control pages must be cleared with MOVDIR64B before the host uses them.
    pw_mce: bool,
    patience: Delta,
    /// The system goes down: no SEAMCALL is made any more.
    down: Atomic<bool>,
    /// Held from the first call of a leaf that the TDX Module resumes internally to its final
    /// status: what a call in between would do is not known. The one lock held over a SEAMCALL.
    /// In it is a leaf that was given up before its final status.
    #[pin]
    resumed: Mutex<Option<Pending>>,
    #[pin]
    roots: Roots,
}

/// A leaf that was given up while it could still be resumed.
struct Pending {
    call: Call,
    // The root page that it names.
    root: Option<Hpa>,
    // It has been waited for, to no avail.
    tired: bool,
}

/// A leaf that the TDX Module resumes internally, with its operands.
#[derive(Clone, Copy)]
enum Call {
    ExtInit,
    IommuSetup { reg_base: u64, iommu_mt: IommuMt },
    IommuClear { id: u64, root: Hpa },
}

impl Call {
    const fn leaf(self) -> Leaf {
        match self {
            Self::ExtInit => Leaf::EXT_INIT,
            Self::IommuSetup { .. } => Leaf::IOMMU_SETUP,
            Self::IommuClear { .. } => Leaf::IOMMU_CLEAR,
        }
    }

    /// Makes the call once. The second value means something after success only, and is 0 where
    /// the leaf has none.
    fn once(self) -> (Status, u64) {
        let mut output = 0;
        // SAFETY: `output` outlives the call; the wrappers have no other preconditions.
        let status = unsafe {
            match self {
                Self::ExtInit => bindings::tdh_ext_init(),
                Self::IommuSetup { reg_base, iommu_mt } => {
                    bindings::tdh_iommu_setup(reg_base, iommu_mt.raw(), &mut output)
                }
                Self::IommuClear { id, root } => bindings::tdh_iommu_clear(id, root.get()),
            }
        };
        resched();
        (Status::from_raw(status), output)
    }
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

fn resched() {
    // SAFETY: Every function here may sleep.
    unsafe { bindings::tdx_pages_resched() };
}

impl Seam {
    /// Makes the seam. `keyid` is the global KeyID.
    pub(crate) fn new(keyid: u16, patience: Delta) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            keyid,
            // SAFETY: No preconditions.
            pw_mce: unsafe { bindings::tdx_pages_has_pw_mce() },
            patience,
            down: Atomic::new(false),
            resumed <- new_mutex!(None),
            roots <- Roots::new(),
        })
    }

    /// Calls a leaf until it comes to an end, or the patience does.
    ///
    /// It is called again, with the same operands, while it is interrupted or busy. Once it has been
    /// interrupted, only success or an error of its own ends it: that this CPU, or the TDX Module,
    /// did not execute the resume leaves it interrupted. `interrupted` says that it is already.
    fn until_end(&self, call: Call, patience: Delta, mut interrupted: bool) -> (Answer, u64) {
        let begin = Instant::<Monotonic>::now();
        // Whether any call went further than the dispatcher: what "busy" has done is not known.
        let mut entered = interrupted;
        let unfinished = |status, interrupted, entered| match (interrupted, entered) {
            (true, _) => Answer::given_up(status),
            (false, true) => Answer::failed(status),
            // SAFETY: No call with these operands was executed.
            (false, false) => unsafe { Answer::not_called(status) },
        };
        loop {
            if self.is_down() {
                return (unfinished(Status::HOST_DOWN, interrupted, entered), 0);
            }
            let (status, output) = call.once();
            interrupted |= status.masked() == Status::INTERRUPTED_RESUMABLE;
            if status.is_not_executed() && !interrupted {
                return (unfinished(status, false, entered), output);
            }
            entered = true;
            let again = status.is_recoverable()
                || interrupted
                    && (status.is_not_executed() || status == Status::INVALID_RESUMPTION);
            if !again {
                if status.is_success_class() && !status.is_success() {
                    pr_notice!("{} answered {}, taken for success\n", call.leaf(), status);
                }
                // SAFETY: It was called and executed, and this is its end.
                return (unsafe { Answer::ended(status) }, output);
            }
            if begin.elapsed() > patience {
                return (unfinished(status, interrupted, entered), output);
            }
            if status.masked() != Status::INTERRUPTED_RESUMABLE {
                fsleep(PAUSE);
            }
        }
    }

    /// Calls a leaf that the TDX Module resumes internally, alone. `root` is the root page that its
    /// operands name; it comes back unless the leaf is left interrupted.
    fn call<'a>(
        &self,
        call: Call,
        root: Option<Published<'a>>,
    ) -> (Answer, u64, Option<Published<'a>>) {
        let mut pending = self.resumed.lock();
        if !self.finish(&mut pending, self.patience) {
            // SAFETY: Nothing was called.
            return (unsafe { Answer::not_called(Status::SYS_BUSY) }, 0, root);
        }
        let (answer, output) = self.until_end(call, self.patience, false);
        if !answer.is_given_up() {
            return (answer, output, root);
        }
        pr_err!(
            "{} is left interrupted after {} ms: {}; nothing like it is called before it has ended\n",
            call.leaf(),
            self.patience.as_millis(),
            answer.status()
        );
        *pending = Some(Pending {
            call,
            root: root.map(Published::keep),
            tired: false,
        });
        (answer, output, None)
    }

    /// Resumes the leaf that was given up, if there is one. Returns whether there is none any more.
    ///
    /// A SETUP that succeeds so late is undone: nobody waits for the IOMMU any more.
    fn finish(&self, pending: &mut Option<Pending>, patience: Delta) -> bool {
        while let Some(left) = pending {
            // It is waited for once; after that one try each time has to do.
            let patience = if left.tired { Delta::ZERO } else { patience };
            let (answer, output) = self.until_end(left.call, patience, true);
            if answer.is_given_up() {
                left.tired = true;
                return false;
            }
            pr_notice!(
                "{} has ended at last: {}\n",
                left.call.leaf(),
                answer.status()
            );
            match (left.call, left.root) {
                (Call::IommuSetup { .. }, Some(root)) if answer.is_success() => {
                    left.call = Call::IommuClear { id: output, root };
                    left.tired = false;
                }
                (_, root) => {
                    if let Some(root) = root {
                        self.roots.give_back(root);
                    }
                    *pending = None;
                }
            }
        }
        true
    }

    /// Tries to bring a leaf that was given up to its end, for `patience`. Returns whether there is
    /// none any more, so that the pages it named may be put to the proof.
    pub(crate) fn settle(&self, patience: Delta) -> bool {
        self.finish(&mut self.resumed.lock(), patience)
    }

    /// The reserve of root pages.
    pub(crate) fn roots(&self) -> &Roots {
        &self.roots
    }

    /// How long it is tried when it matters.
    pub(crate) fn patience(&self) -> Delta {
        self.patience
    }

    /// From now on no SEAMCALL is made. Any context.
    pub(crate) fn go_down(&self) {
        self.down.store(true, Release);
    }

    /// Whether no SEAMCALL is made any more.
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Acquire)
    }

    /// TDH.EXT.MEM.ADD: the status, and the list word that came back, unchecked. Called again while
    /// it is busy; one that is interrupted is the caller's to go on with, with the new word.
    pub(crate) fn ext_mem_add(&self, word: HpaListInfo) -> (Status, HpaListInfo) {
        let begin = Instant::<Monotonic>::now();
        // What "busy" has done is not known, so after it "not executed" is not the whole truth.
        let mut busy = None;
        loop {
            if self.is_down() {
                return (busy.unwrap_or(Status::HOST_DOWN), word);
            }
            let mut back = 0;
            // SAFETY: `back` outlives the call.
            let status = unsafe { bindings::tdh_ext_mem_add(word.raw(), &mut back) };
            let (status, back) = (Status::from_raw(status), HpaListInfo::from_raw(back));
            resched();
            if status.is_not_executed() {
                return (busy.unwrap_or(status), back);
            }
            if status == Status::INTERRUPTED_RESUMABLE
                || !status.is_recoverable()
                || back != word
                || begin.elapsed() > self.patience
            {
                return (status, back);
            }
            busy = Some(status);
            fsleep(PAUSE);
        }
    }

    /// TDH.EXT.INIT.
    pub(crate) fn ext_init(&self) -> Answer {
        self.call(Call::ExtInit, None).0
    }

    /// TDH.IOMMU.SETUP on the remapping unit with this register base. `root` is the root page of
    /// the IOMMU_MT. The IOMMU id means something after success only.
    pub(crate) fn iommu_setup(&self, reg_base: u64, root: Published<'_>) -> (Answer, u64) {
        let iommu_mt = IommuMt::new(root.hpa());
        let call = Call::IommuSetup { reg_base, iommu_mt };
        let (answer, id, _root) = self.call(call, Some(root));
        (answer, id)
    }

    /// TDH.IOMMU.CLEAR. `root` is a page that the list may be written to; `list_ok` looks at it
    /// after success.
    pub(crate) fn iommu_clear(
        &self,
        id: u64,
        root: Published<'_>,
        list_ok: impl FnOnce(&Published<'_>) -> bool,
    ) -> Answer {
        let call = Call::IommuClear {
            id,
            root: root.hpa(),
        };
        match self.call(call, Some(root)) {
            (answer, _, Some(root)) if answer.is_success() => answer.with_list(list_ok(&root)),
            (answer, ..) => answer,
        }
    }

    /// TDH.PHYMEM.PAGE.WBINVD with the global KeyID. On CPUs with the partial-write erratum the
    /// page is cleared after a success, so that the host may write to it.
    pub(crate) fn phymem_page_wbinvd(&self, page: Hpa) -> Status {
        if self.is_down() {
            return Status::HOST_DOWN;
        }
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
        if self.is_down() {
            return Status::HOST_DOWN;
        }
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

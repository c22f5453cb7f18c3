// SPDX-License-Identifier: GPL-2.0

//! The one implementation of [`Platform`] in the kernel: the C wrappers, the page allocator, the
//! ledger.

use crate::abi::{
    Block,
    Hpa,
    Status,
    PAGE_SIZE, //
};
use crate::bindings;
use crate::custody::{
    ledger::{
        Bits,
        Ledger,
        Record,
        Remains,
        Round, //
    },
    lent::Lent,
    memory::{
        Entered,
        Platform,
        Refusal, //
    },
    transitions::State, //
};
use crate::mm::{
    root::Root,
    Blocks, //
};
use crate::print::may_tell;
use crate::seam::{
    metadata,
    slot::Gate,
    Seam, //
};
use crate::setting::Setting;
use crate::users::{
    registry::{
        Owner,
        Registry, //
    }, //
};
use crate::worker::Worker;
use core::ffi::c_void;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        MutexGuard,
        SetOnce, //
    },
    task::might_sleep,
    time::Delta, //
};

/// What all objects of one attachment share.
#[pin_data]
pub(crate) struct Host {
    // Dropped first: a round may be running in what follows. Set once, when there is an address to
    // give to it.
    worker: SetOnce<Worker>,
    #[pin]
    seam: Seam,
    #[pin]
    ledger: Ledger,
    #[pin]
    users: Registry,
    clflush: Atomic<bool>,
    // Set once, when everything is up.
    setting: SetOnce<Setting>,
}

/// A handle on the kernel's side of everything.
#[derive(Clone)]
pub(crate) struct Kernel(Arc<Host>);

impl Kernel {
    /// Makes the shared part. `keyid` is the global KeyID; an interrupted leaf is resumed for
    /// `patience`.
    pub(crate) fn new(keyid: u16, patience: Delta) -> Result<Self> {
        let host = Arc::pin_init(
            try_pin_init!(Host {
                seam <- Seam::new(keyid, patience),
                ledger <- Ledger::new(),
                users <- Registry::new(),
                clflush: Atomic::new(false),
                setting: SetOnce::new(),
                worker: SetOnce::new(),
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: The host owns the worker, and drops it before anything else.
        let worker = unsafe { Worker::new(&host)? };
        host.worker.populate(worker);
        Ok(Self(host))
    }

    /// A handle from the shared part itself.
    pub(crate) fn from_host(host: Arc<Host>) -> Self {
        Self(host)
    }

    /// The shared part as the C members know it.
    pub(crate) fn context(&self) -> *const c_void {
        Arc::as_ptr(&self.0).cast()
    }

    /// From now on blocks are flushed before they are handed over.
    pub(crate) fn flush_before_hand_over(&self) {
        self.0.clflush.store(true, Relaxed);
    }

    /// Everything is up: what was chosen and found, to be shown.
    pub(crate) fn settle_on(&self, setting: Setting) {
        self.0.setting.populate(setting);
    }

    /// What is shared.
    pub(crate) fn host(&self) -> &Host {
        &self.0
    }

    /// The leaves.
    pub(crate) fn seam(&self) -> &Seam {
        &self.0.seam
    }

    /// The users.
    pub(crate) fn users(&self) -> &Registry {
        &self.0.users
    }

    /// After a run-time update of the TDX Module, looks at what may be another thing now. Each object
    /// reads the sizes that it needs when it is made; left are the extensions. Sleeps.
    pub(crate) fn look_again(&self) {
        if !self.0.seam.take_absence() {
            return;
        }
        if metadata::wants_ext_init(self.seam()) == Some(true) {
            if may_tell() {
                pr_warn!(
                    "the TDX Module was away, perhaps for an update, and its extensions want TDH.EXT.INIT again: sessions will not work before this module is loaded again\n"
                );
            }
        }
    }

    /// See [`Ledger::recover`].
    #[cfg(any(TDX_PAGES_KUNIT, TDX_PAGES_BENCH))]
    pub(crate) fn recover(&self) -> usize {
        self.0.ledger.recover(self)
    }

    /// Stops the worker and ends the ledger; see [`Ledger::close`].
    pub(crate) fn close(&self) -> Remains {
        if let Some(worker) = self.0.worker.as_ref() {
            worker.stop();
        }
        if !self.0.seam.settle(self.0.seam.patience()) {
            pr_err!(
                "a leaf is still interrupted and is given up: its pages stay with the TDX Module until the next boot\n"
            );
        }
        self.0.ledger.close(self)
    }

    /// Tries everything in quarantine again; see [`Ledger::retry`].
    pub(crate) fn retry(&self) -> Round {
        self.0.ledger.retry(self)
    }
}

impl From<Refusal> for Error {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::NoMemory => ENOMEM,
            Refusal::Closed | Refusal::Down => errno!(ESHUTDOWN),
            Refusal::Empty => EINVAL,
        }
    }
}

impl Gate for Kernel {
    type Guard<'a> = MutexGuard<'a, ()>;

    fn pass(&self) -> MutexGuard<'_, ()> {
        self.0.seam.pass()
    }
}

impl Host {
    /// Something went into quarantine: it is to be tried again soon. Any context.
    pub(crate) fn kick(&self) {
        if let Some(worker) = self.worker.as_ref() {
            worker.kick();
        }
    }

    /// The pause before the next round, of the worker.
    pub(crate) fn worker(&self) -> Option<&Worker> {
        self.worker.as_ref()
    }

    /// What was chosen and found at load; [`None`] before everything is up.
    pub(crate) fn setting(&self) -> Option<&Setting> {
        self.setting.as_ref()
    }

    /// The leaves.
    pub(crate) fn seam(&self) -> &Seam {
        &self.seam
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The users.
    pub(crate) fn users(&self) -> &Registry {
        &self.users
    }
}

// SAFETY: `prove` tells what the SEAMCALL said, `prove_run` that of each page, and the ledger gives the
// memory of a record to one caller at a time.
unsafe impl Platform for Kernel {
    type Memory = Blocks;
    type Bits = Bits;
    type User = Owner;
    type Entry = Arc<Record>;
    type Root<'a> = Root<'a>;

    unsafe fn prove(&self, page: Hpa) -> Status {
        // SAFETY: As this function's requirement: what is lent is on record.
        unsafe { self.0.seam.phymem_page_wbinvd(page) }
    }

    #[inline]
    unsafe fn prove_run(
        &self,
        pages: impl Iterator<Item = Hpa>,
        failed: impl FnMut(usize, Status),
    ) -> u64 {
        // SAFETY: As this function's requirement.
        unsafe { self.0.seam.phymem_pages_wbinvd(pages, failed) }
    }

    unsafe fn reclaim(&self, page: Hpa) -> Status {
        // SAFETY: As above.
        unsafe { self.0.seam.phymem_page_reclaim(page) }
    }

    unsafe fn flush(&self, blocks: &[Block]) {
        if !self.0.clflush.load(Relaxed) {
            return;
        }
        for block in blocks {
            // CAST: At most 512 pages.
            let bytes = block.pages() as u64 * PAGE_SIZE;
            // SAFETY: Custody names memory of the page allocator, which is mapped.
            unsafe { bindings::tdx_pages_clflush(block.hpa().get(), bytes) };
        }
    }

    fn root(&self) -> Root<'_> {
        self.0.seam.roots().borrow()
    }

    fn enter(&self, user: &Owner, memory: Blocks) -> Entered<Self> {
        // Every hand-over comes this way.
        might_sleep();
        if self.0.seam.is_down() {
            return Err((Refusal::Down, memory));
        }
        self.0.ledger.enter(user, memory)
    }

    fn take(&self, entry: &Arc<Record>) -> Option<Lent<Self>> {
        // And every release this.
        might_sleep();
        entry.take()
    }

    fn put(&self, entry: &Arc<Record>, lent: Lent<Self>, state: State) {
        entry.put(self, lent, state);
        if matches!(state, State::Quarantined(_)) {
            self.0.kick();
        }
    }

    fn strike(&self, entry: Arc<Record>) {
        self.0.ledger.strike(entry);
    }

    fn dropped(&self, entry: &Arc<Record>) {
        entry.dropped();
        self.0.kick();
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The worker: tries quarantined pages again, with growing pauses, and hears of a reboot.

use crate::bindings;
use crate::custody::record::Round;
use crate::platform::{
    Host,
    Kernel, //
};
use core::{
    ffi::c_void,
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

/// The pause before the first round, and after one that freed something, in milliseconds.
const FIRST_PAUSE: usize = 1_000;

/// The longest pause, in milliseconds. It doubles from round to round until then.
const LONGEST_PAUSE: usize = 600_000;

/// The delayed work of one [`Host`], which owns it.
///
/// # Invariants
///
/// The pointer is one of `tdx_pages_worker_new`, and is freed by `drop` alone.
pub(crate) struct Worker {
    worker: NonNull<bindings::tdx_pages_worker>,
    pause: Atomic<usize>,
}

// SAFETY: The C functions may be called from any task.
unsafe impl Send for Worker {}

// SAFETY: The C functions serialise themselves; the pause is atomic.
unsafe impl Sync for Worker {}

impl Worker {
    /// Makes a worker that has nothing to do yet. `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The worker is dropped, or stopped, before the host is.
    pub(crate) unsafe fn new(host: &Arc<Host>) -> Result<Self> {
        let context: *const Host = Arc::as_ptr(host);
        // SAFETY: The context lives as long as the worker does something, as the caller promises.
        let worker = unsafe { bindings::tdx_pages_worker_new(context.cast()) };
        // INVARIANT: It was made this moment.
        Ok(Self {
            worker: NonNull::new(worker).ok_or(ENOMEM)?,
            pause: Atomic::new(FIRST_PAUSE),
        })
    }

    /// Something went into quarantine: the next round comes soon. Any context.
    pub(crate) fn kick(&self) {
        self.pause.store(FIRST_PAUSE, Relaxed);
        // SAFETY: By the invariant the worker is there.
        unsafe { bindings::tdx_pages_worker_kick(self.worker.as_ptr(), FIRST_PAUSE) };
    }

    /// After this no round runs, and none ever will. Sleeps.
    pub(crate) fn stop(&self) {
        // SAFETY: By the invariant the worker is there.
        unsafe { bindings::tdx_pages_worker_stop(self.worker.as_ptr()) };
    }

    /// The pause after a round, in milliseconds; 0 if there is nothing more to do.
    fn after(&self, round: Round) -> usize {
        if round.left == 0 {
            self.pause.store(FIRST_PAUSE, Relaxed);
            return 0;
        }
        let pause = match round.freed {
            0 => self
                .pause
                .load(Relaxed)
                .saturating_mul(2)
                .min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        self.pause.store(pause, Relaxed);
        pause
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: By the invariant the worker is there, and nobody can reach it any more.
        unsafe { bindings::tdx_pages_worker_free(self.worker.as_ptr()) };
    }
}

/// A round out of turn. What is left is tried again soon.
///
/// # Safety
///
/// As [`tdx_pages_retry`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_retry_now(context: *const c_void) {
    // SAFETY: As this function's requirement; see there.
    let host = unsafe { Arc::from_raw(context.cast::<Host>()) };
    let kernel = ManuallyDrop::new(Kernel::from_host(host));
    if !kernel.seam().is_down() && kernel.retry().left > 0 {
        kernel.host().kick();
    }
}

/// One round. Returns after how many milliseconds the next one is due, 0 for never.
///
/// # Safety
///
/// `context` is what was given to `tdx_pages_worker_new` or `tdx_pages_debugfs_add`: a [`Host`] in an
/// [`Arc`], which outlives the call.
#[no_mangle]
unsafe extern "C" fn tdx_pages_retry(context: *const c_void) -> usize {
    // SAFETY: As this function's requirement. The count is not touched: this round must not be the
    // last to hold the host, since dropping it waits for this round.
    let host = unsafe { Arc::from_raw(context.cast::<Host>()) };
    let kernel = ManuallyDrop::new(Kernel::from_host(host));
    if kernel.seam().is_down() {
        return 0;
    }
    let round = kernel.retry();
    kernel
        .host()
        .worker()
        .map_or(0, |worker| worker.after(round))
}

/// The system goes down: no hand-over is begun and no SEAMCALL is made from now on.
///
/// # Safety
///
/// `context` is what was given to `tdx_pages_worker_new`: a [`Host`] that outlives the call.
#[no_mangle]
unsafe extern "C" fn tdx_pages_down(context: *const c_void) {
    // SAFETY: As this function's requirement.
    let host = unsafe { &*context.cast::<Host>() };
    host.seam().go_down();
}

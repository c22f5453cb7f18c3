// SPDX-License-Identifier: GPL-2.0

//! What is seen in debugfs `tdx_pages/`.
//!
//! The files are C members, with an owner, which call the two functions here.

use crate::bindings;
use crate::capi;
use crate::custody::transitions::Why;
use crate::platform::{
    Host,
    Kernel, //
};
use core::ffi::c_void;
use kernel::{
    error::to_result,
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

/// The files, until dropped.
pub(crate) struct Debugfs {
    // What the files show must live as long as they do.
    _kernel: Kernel,
}

impl Debugfs {
    /// Makes the files. Everything works without them: a failure is told and is no error.
    pub(crate) fn new(kernel: &Kernel) -> Option<Self> {
        // SAFETY: The context lives until the files are removed, by `drop`: `_kernel` holds it.
        let made = to_result(unsafe { bindings::tdx_pages_debugfs_add(kernel.context()) });
        match made {
            Ok(()) => Some(Self {
                _kernel: kernel.clone(),
            }),
            Err(error) => {
                pr_notice!("no debugfs files: {:?}\n", error);
                None
            }
        }
    }
}

impl Drop for Debugfs {
    fn drop(&mut self) {
        // SAFETY: They were added once, by `new`.
        unsafe { bindings::tdx_pages_debugfs_remove() };
    }
}

/// `summary`: the page balance, one `key value` a line, in pages.
///
/// # Safety
///
/// `m` is a seq_file being shown; `context` is what was given to `tdx_pages_debugfs_add`.
#[no_mangle]
unsafe extern "C" fn tdx_pages_show_summary(
    m: *mut kernel::bindings::seq_file,
    context: *const c_void,
) {
    // SAFETY: As this function's requirements; nobody else uses this seq_file during the call.
    let (m, host) = unsafe { (SeqFile::from_raw(m), &*context.cast::<Host>()) };
    let sum = host.users().balance();
    seq_print!(m, "handed_over {}\n", sum.handed_over);
    seq_print!(m, "released {}\n", sum.released);
    seq_print!(m, "held {}\n", sum.held);
    seq_print!(m, "held_for_good {}\n", sum.held_for_good);
    seq_print!(m, "quarantined {}\n", sum.quarantined);
    seq_print!(m, "lost {}\n", sum.lost);
    seq_print!(m, "quarantined_ever {}\n", sum.quarantined_ever);
    seq_print!(m, "proved_later {}\n", sum.proved_later);
}

/// `users`: the same for each user, as a table.
///
/// # Safety
///
/// As [`tdx_pages_show_summary`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_show_users(
    m: *mut kernel::bindings::seq_file,
    context: *const c_void,
) {
    // SAFETY: As this function's requirements; nobody else uses this seq_file during the call.
    let (m, host) = unsafe { (SeqFile::from_raw(m), &*context.cast::<Host>()) };
    seq_print!(
        m,
        "{:<12} {:>12} {:>12} {:>12} {:>14} {:>12} {:>6} {:>7}\n",
        "user",
        "handed_over",
        "released",
        "held",
        "held_for_good",
        "quarantined",
        "lost",
        "kind"
    );
    host.users().for_each(|user| {
        let balance = user.account().balance();
        seq_print!(
            m,
            "{:<12} {:>12} {:>12} {:>12} {:>14} {:>12} {:>6} {:>7}\n",
            user.name(),
            balance.handed_over,
            balance.released,
            balance.held,
            balance.held_for_good,
            balance.quarantined,
            balance.lost,
            if user.is_gone() {
                "gone"
            } else {
                user.kind().text()
            }
        );
    });
}

/// `objects`: what drivers have: user, object, pages, NUMA node, and what the object is with.
///
/// # Safety
///
/// As [`tdx_pages_show_summary`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_show_objects(
    m: *mut kernel::bindings::seq_file,
    _context: *const c_void,
) {
    // SAFETY: As this function's requirements; nobody else uses this seq_file during the call.
    let m = unsafe { SeqFile::from_raw(m) };
    capi::for_each(|shown| {
        seq_print!(
            m,
            "{} {}: {} pages on node {}: {}\n",
            shown.user,
            shown.object,
            shown.extent.pages,
            shown.extent.node.unwrap_or(-1),
            shown.with
        );
    });
}

/// `quarantine`: each object of which pages are in quarantine, with the cause.
///
/// # Safety
///
/// As [`tdx_pages_show_summary`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_show_quarantine(
    m: *mut kernel::bindings::seq_file,
    context: *const c_void,
) {
    // SAFETY: As this function's requirements; nobody else uses this seq_file during the call.
    let (m, host) = unsafe { (SeqFile::from_raw(m), &*context.cast::<Host>()) };
    host.ledger().for_each(|record| {
        let Some(quarantined) = record.quarantined() else {
            return;
        };
        seq_print!(
            m,
            "{}: {} pages for {} s, tried again {} times: ",
            record.owner(),
            quarantined.pages,
            quarantined.age.as_millis() / 1000,
            quarantined.tries
        );
        match quarantined.cause {
            Some(cause) => {
                seq_print!(
                    m,
                    "{}: {} answered {}",
                    cause.why.text(),
                    cause.leaf,
                    cause.status
                );
                if let Some(page) = cause.unproved {
                    seq_print!(
                        m,
                        "; the proof of page {} answered {}",
                        page.index,
                        page.status
                    );
                }
            }
            None => seq_print!(m, "{}", Why::DroppedWhileHeld.text()),
        }
        seq_print!(m, "\n");
    });
}

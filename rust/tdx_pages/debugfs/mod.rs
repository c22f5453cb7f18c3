// SPDX-License-Identifier: GPL-2.0

//! What is seen in debugfs `tdx_pages/`; `Documentation/debugfs.rst` tells each file.
//!
//! The files are C members, with an owner, which call the functions here. [`people`] and
//! [`seamcalls`] are for reading, [`state`] is for programs: its keys are an interface.

mod people;
mod seamcalls;
mod state;

use crate::bindings;
use crate::platform::{
    Host,
    Kernel, //
};
use core::ffi::c_void;
use kernel::{
    error::to_result,
    prelude::*,
    seq_file::SeqFile, //
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
                pr_notice!(
                    "no debugfs files ({:?}): nothing can be looked at, all else works\n",
                    error
                );
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

/// What C calls to show a file, for each of them.
macro_rules! files {
    ($($(#[$doc:meta])* $name:ident = $show:path;)+) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            ///
            /// `m` is a seq_file being shown; `context` is what was given to
            /// `tdx_pages_debugfs_add`.
            #[no_mangle]
            unsafe extern "C" fn $name(
                m: *mut kernel::bindings::seq_file,
                context: *const c_void,
            ) {
                // SAFETY: As this function's requirements; nobody else uses this seq_file during
                // the call.
                let (m, host) = unsafe { (SeqFile::from_raw(m), &*context.cast::<Host>()) };
                $show(m, host);
            }
        )+
    };
}

files! {
    /// `summary`: the page balance, one `key value` a line, in pages.
    tdx_pages_show_summary = state::balance;
    /// `users`: the same for each user, as a table.
    tdx_pages_show_users = people::users;
    /// `objects`: everything on record.
    tdx_pages_show_objects = people::objects;
    /// `handles`: what drivers have by the C API.
    tdx_pages_show_handles = people::handles;
    /// `quarantine`: each object of which pages are in quarantine, with the cause and the pages.
    tdx_pages_show_quarantine = people::quarantine;
    /// `seamcalls`: how often each leaf was called, what it answered, how long it took.
    tdx_pages_show_seamcalls = seamcalls::show;
    /// `features`: what was chosen, and what the TDX Module says of itself.
    tdx_pages_show_features = people::features;
    /// `state`: everything but addresses of pages, for programs.
    tdx_pages_show_state = state::show;
}

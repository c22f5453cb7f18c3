// SPDX-License-Identifier: GPL-2.0

//! The pages that the host frees, and the cache lines that it writes back.

use super::{
    abi::Hpa,
    bindings,
    model::{
        bugs::{
            Bug,
            Watch, //
        },
        Machine, //
    },
    trap::Emu, //
};
use kernel::prelude::*;

/// The model is told of them, until this is dropped.
pub(crate) struct Watching(());

impl Watching {
    /// From here on, as far as this kernel allows.
    ///
    /// # Safety
    ///
    /// `emu` stays where it is, and lives longer than what is returned.
    pub(crate) unsafe fn new(emu: &Emu) -> Self {
        let (states, count) = emu.with(|model| {
            let states = model.machine_mut().states();
            (states.as_ptr(), states.len())
        });
        let context: *const Emu = emu;
        // SAFETY: The caller vouches for the model, which never moves its states. C only looks
        // whether one is zero, whatever is done to it meanwhile.
        let sees =
            unsafe { bindings::tdx_emu_watch(context.cast_mut().cast(), states.cast(), count) };
        emu.with(|model| {
            model.watch(Watch {
                frees: sees & bindings::TDX_EMU_SEES_FREES != 0,
                flushes: sees & bindings::TDX_EMU_SEES_FLUSHES != 0,
            });
        });
        Self(())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // SAFETY: It was begun in `new()`.
        unsafe { bindings::tdx_emu_unwatch() };
    }
}

/// The host has freed a page; tells whether it should not have. In any context.
///
/// # Safety
///
/// `emu` is the pointer given to `tdx_emu_watch()`; the lock is not held.
#[no_mangle]
unsafe extern "C" fn tdx_emu_freed(emu: *mut c_void, hpa: u64) -> c_uint {
    // SAFETY: As `Watching::new()` demands, it lives until `tdx_emu_unwatch()` returned.
    let emu = unsafe { &*emu.cast::<Emu>().cast_const() };
    let bug = Hpa::new(hpa).and_then(|page| emu.with(|model| model.freed(page)));
    match bug {
        None => 0,
        Some(Bug::FreeOfHeld) => bindings::TDX_EMU_FREED_HELD,
        Some(_) => bindings::TDX_EMU_FREED_UNPROVED,
    }
}

/// The host has written the cache lines of a page back. In any context.
///
/// # Safety
///
/// `emu` is the pointer given to `tdx_emu_watch()`; the lock is not held.
#[no_mangle]
unsafe extern "C" fn tdx_emu_written_back(emu: *mut c_void, hpa: u64) {
    // SAFETY: As above.
    let emu = unsafe { &*emu.cast::<Emu>().cast_const() };
    if let Some(page) = Hpa::new(hpa) {
        emu.with(|model| model.written_back(page));
    }
}

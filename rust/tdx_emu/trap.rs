// SPDX-License-Identifier: GPL-2.0

//! The model behind the instruction.

use super::{
    bindings,
    memory::Memory,
    model::{
        Config,
        Model,
        Regs, //
    },
    watch::Watching, //
};
use core::{
    cell::UnsafeCell,
    mem::{
        offset_of,
        MaybeUninit, //
    }, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

// Registers cross the border by a pointer, so both sides must mean the same.
const _: () = {
    assert!(size_of::<Regs>() == size_of::<bindings::tdx_emu_regs>());
    assert!(offset_of!(Regs, r8) == offset_of!(bindings::tdx_emu_regs, r8));
    assert!(offset_of!(Regs, r15) == offset_of!(bindings::tdx_emu_regs, r15));
    assert!(offset_of!(Regs, rip) == offset_of!(bindings::tdx_emu_regs, rip));
};

/// Whether a real TDX Module may be here.
pub(crate) fn real_tdx() -> bool {
    // SAFETY: It has no preconditions.
    unsafe { bindings::tdx_emu_real_tdx() }
}

/// The C member's lock, held.
struct Guard(c_ulong);

impl Guard {
    fn lock() -> Self {
        // SAFETY: It is a raw spinlock that is never taken inside of itself: the closures under it
        // make no SEAMCALL.
        Self(unsafe { bindings::tdx_emu_lock() })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: The guard holds the lock, and these are its flags.
        unsafe { bindings::tdx_emu_unlock(self.0) };
    }
}

/// The model and its lock.
///
/// # Invariants
///
/// `model` is accessed only with the C member's lock held.
pub(crate) struct Emu {
    model: UnsafeCell<Model<Memory>>,
}

// SAFETY: By the invariant, one CPU at a time is in the model, which may be sent to any of them.
unsafe impl Sync for Emu {}

impl Emu {
    /// A model on `memory` that nobody can reach yet. `config` has passed its check.
    pub(crate) fn new(memory: Memory, config: Config) -> Result<KBox<Self>> {
        let mut emu = KBox::<Self>::new_uninit(GFP_KERNEL)?;
        let at = emu.as_mut_ptr();
        // SAFETY: It is valid for writes, nobody else knows it, and what is not initialised may be
        // taken for just that.
        let place = unsafe {
            let model: *mut MaybeUninit<Model<Memory>> = (&raw mut (*at).model).cast();
            &mut *model
        };
        Model::init(place, memory, config);
        // SAFETY: The model is all there is in it.
        Ok(unsafe { emu.assume_init() })
    }

    /// Runs `act` on the model, with interrupts off: it must be short, and must neither sleep nor
    /// make a SEAMCALL.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Model<Memory>) -> R) -> R {
        let _guard = Guard::lock();
        // SAFETY: The lock is held until the end of this function.
        act(unsafe { &mut *self.model.get() })
    }
}

/// The software TDX Module, answering.
pub(crate) struct Trap {
    // Dropped first: it stands on the other.
    _watching: Watching,
    emu: KBox<Emu>,
}

impl Trap {
    /// From here on SEAMCALL is answered.
    pub(crate) fn new(emu: KBox<Emu>) -> Result<Self> {
        // SAFETY: `emu` is in a box, so it stays where it is, and is dropped after this.
        let watching = unsafe { Watching::new(&emu) };
        let context: *const Emu = &*emu;
        // SAFETY: `emu` is in a box, so it stays where it is, and `Self` keeps it until after
        // `tdx_emu_stop()`.
        to_result(unsafe { bindings::tdx_emu_start(context.cast_mut().cast()) })?;
        Ok(Self {
            _watching: watching,
            emu,
        })
    }

    /// What is behind it.
    pub(crate) fn emu(&self) -> &Emu {
        &self.emu
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        // SAFETY: It was started in `new()`. When this returns nobody is in the model any more, so
        // that it may be dropped after this.
        unsafe { bindings::tdx_emu_stop() };
    }
}

/// Answers a SEAMCALL. In an exception handler, with interrupts off and the lock held.
///
/// # Safety
///
/// `emu` is the pointer given to `tdx_emu_start()`, the C member's lock is held, and `regs` is
/// valid and not accessed by others.
#[no_mangle]
unsafe extern "C" fn tdx_emu_seamcall(
    emu: *mut c_void,
    regs: *mut bindings::tdx_emu_regs,
) -> c_uint {
    // SAFETY: It is what `Trap::new()` gave, which lives until `tdx_emu_stop()` returned.
    let emu = unsafe { &*emu.cast::<Emu>().cast_const() };
    // SAFETY: The caller holds the lock.
    let model = unsafe { &mut *emu.model.get() };
    // SAFETY: The caller vouches for `regs`; both structs are alike, as asserted above.
    let regs = unsafe { &mut *regs.cast::<Regs>() };
    model.seamcall(regs);
    let mut told = 0;
    if model.balance().owned() > 0 {
        told |= bindings::TDX_EMU_OWNS_PAGES;
    }
    if model.bugs().is_fresh() || model.mix().is_fresh() {
        told |= bindings::TDX_EMU_HAS_NEWS;
    }
    told
}

/// Makes a call as the instruction does, for `debugfs`.
pub(crate) fn call(regs: &mut Regs) {
    // SAFETY: `debugfs` runs while a `Trap` lives, and both structs are alike, as asserted above.
    unsafe { bindings::tdx_emu_call(core::ptr::from_mut(regs).cast()) };
}

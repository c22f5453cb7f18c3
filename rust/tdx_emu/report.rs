// SPDX-License-Identifier: GPL-2.0

//! What is said of the host's mistakes, and of chance.

use super::{
    bindings,
    model::bugs::Record,
    trap::Emu, //
};
use core::fmt::{
    self,
    Write, //
};
use kernel::prelude::*;

/// A line for C: cut where it is too long, never without its end.
struct Line {
    text: [u8; Self::BYTES],
    len: usize,
}

impl Line {
    const BYTES: usize = 192;

    fn of(record: &Record) -> Self {
        let mut line = Self {
            text: [0; Self::BYTES],
            len: 0,
        };
        // It never fails.
        let _ = write!(line, "{record}");
        line
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The last byte stays zero.
        let room = self.text.iter_mut().take(Self::BYTES - 1).skip(self.len);
        for (to, from) in room.zip(text.bytes()) {
            *to = from;
            self.len = self.len.saturating_add(1);
        }
        Ok(())
    }
}

/// Prints what the host did wrong, the first time for each kind, and who called; and where chance
/// begins.
pub(crate) fn report(emu: &Emu) {
    if let Some(mix) = emu.with(|model| model.mix_mut().take_fresh()) {
        pr_info!("mix: {}\n", core::format_args!("{mix}"));
    }
    let mut caller = 0;
    while let Some(record) = emu.with(|model| model.bugs_mut().take_fresh()) {
        let line = Line::of(&record);
        caller = record.place.caller;
        // SAFETY: The text ends with a zero, and an address may be any.
        unsafe { bindings::tdx_emu_say(line.text.as_ptr().cast(), caller) };
    }
    if caller != 0 {
        // SAFETY: It bears any address.
        unsafe { bindings::tdx_emu_say_callers(caller) };
    }
}

/// Prints what the host did wrong.
///
/// # Safety
///
/// `emu` is the pointer given to `tdx_emu_start()`; the lock is not held.
#[no_mangle]
unsafe extern "C" fn tdx_emu_report(emu: *mut c_void) {
    // SAFETY: It is what `Trap::new()` gave, which lives until `tdx_emu_stop()` returned.
    report(unsafe { &*emu.cast::<Emu>().cast_const() });
}

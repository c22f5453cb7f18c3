// SPDX-License-Identifier: GPL-2.0

//! What people see and say: `state`, `seamcalls` and `control` in debugfs.

use super::{
    abi::{
        Leaf,
        Status, //
    },
    bindings,
    model::{
        bugs::Bug,
        command::parse,
        counters::Counter,
        journal::ENTRIES, //
    },
    report::report,
    trap::{
        self,
        Emu,
        Trap, //
    }, //
};
use core::ops::ControlFlow;
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

/// Page states, and pages among them, that are looked at with the lock held.
const STATES_AT_ONCE: usize = 1 << 16;
const PAGES_AT_ONCE: usize = 64;

/// The files, and the trap they look at.
pub(crate) struct Files {
    _trap: Trap,
}

impl Files {
    /// Makes them; without debugfs there are none, and the rest works.
    pub(crate) fn new(trap: Trap) -> Self {
        let emu: *const Emu = trap.emu();
        // SAFETY: The trap lives until after the files are removed.
        unsafe { bindings::tdx_emu_debugfs_add(emu.cast_mut().cast()) };
        Self { _trap: trap }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // SAFETY: They were made in `new()`. When this returns nobody is in a handler any more.
        unsafe { bindings::tdx_emu_debugfs_remove() };
    }
}

/// Looks at all owned pages for host writes, a few at a time.
fn inspect_owned(emu: &Emu) {
    let mut from = Some(0);
    while let Some(at) = from {
        from = emu.with(|model| model.inspect_owned(at, STATES_AT_ONCE, PAGES_AT_ONCE));
        // SAFETY: It may sleep here: debugfs files are read by processes.
        unsafe { bindings::tdx_emu_resched() };
    }
    report(emu);
}

/// The file `state`.
///
/// # Safety
///
/// `m` is a seq_file that is being shown, `emu` what [`Files::new`] gave.
#[no_mangle]
unsafe extern "C" fn tdx_emu_show_state(m: *mut bindings::seq_file, emu: *mut c_void) {
    let file = m;
    // SAFETY: The caller vouches for it; the types are the same.
    let m = unsafe { SeqFile::from_raw(m.cast()) };
    // SAFETY: It lives as long as the files.
    let emu = unsafe { &*emu.cast::<Emu>().cast_const() };
    inspect_owned(emu);
    let (balance, bugs, watch) =
        emu.with(|model| (model.balance(), model.bugs().clone(), model.watched()));
    let (iommus, sessions, streams) = emu.with(|model| {
        (
            model.iommu_count(),
            model.session_count(),
            model.stream_count(),
        )
    });
    for (key, value) in [
        ("handed_over", balance.taken),
        ("released", balance.released),
        ("pool", balance.pool),
        ("held", balance.held),
        ("unproved", balance.unproved),
        // CAST: Small counts.
        ("iommus", iommus as u64),
        ("sessions", sessions as u64),
        ("streams", streams as u64),
        ("host_bugs", bugs.total()),
    ] {
        seq_print!(m, "{} {}\n", key, value);
    }
    for bug in Bug::ALL {
        if !watch.sees(bug) {
            seq_print!(m, "{} skip\n", bug.key());
            continue;
        }
        seq_print!(m, "{} {}", bug.key(), bugs.count(bug));
        if let Some(first) = bugs.first(bug) {
            seq_print!(m, " first: {}", core::format_args!("{first}"));
            if first.place.caller != 0 {
                // SAFETY: `file` is a seq_file that is being shown; any address will do.
                unsafe { bindings::tdx_emu_show_symbol(file, first.place.caller) };
            }
        }
        seq_print!(m, "\n");
    }
}

/// The file `seamcalls`: leaf, calls, plain successes, failures. What is missing in the sum was
/// interrupted, or wanted a device's response.
///
/// # Safety
///
/// `m` is a seq_file that is being shown, `emu` what [`Files::new`] gave.
#[no_mangle]
unsafe extern "C" fn tdx_emu_show_seamcalls(m: *mut bindings::seq_file, emu: *mut c_void) {
    // SAFETY: The caller vouches for it; the types are the same.
    let m = unsafe { SeqFile::from_raw(m.cast()) };
    // SAFETY: It lives as long as the files.
    let emu = unsafe { &*emu.cast::<Emu>().cast_const() };
    let line = |name: &str, counter: Counter| {
        let failed = counter.failed();
        seq_print!(m, "{} {} {} {}\n", name, counter.calls, counter.ok, failed);
    };
    for leaf in Leaf::ALL {
        let counter = emu.with(|model| model.counters().get(*leaf));
        line(leaf.name().unwrap_or("?"), counter);
    }
    line("unknown", emu.with(|model| model.counters().unknown()));
}

/// The file `journal`: the last SEAMCALLs in order, each with how often it was made and what it
/// answered.
///
/// # Safety
///
/// `m` is a seq_file that is being shown, `emu` what [`Files::new`] gave.
#[no_mangle]
unsafe extern "C" fn tdx_emu_show_journal(m: *mut bindings::seq_file, emu: *mut c_void) {
    // SAFETY: The caller vouches for it; the types are the same.
    let m = unsafe { SeqFile::from_raw(m.cast()) };
    // SAFETY: It lives as long as the files.
    let emu = unsafe { &*emu.cast::<Emu>().cast_const() };
    for n in 0..ENTRIES {
        let Some(entry) = emu.with(|model| model.journal().get(n)) else {
            break;
        };
        let leaf = entry.leaf();
        let name = leaf.name().unwrap_or("?");
        let status = entry.status;
        seq_print!(
            m,
            "{} {} {}\n",
            name,
            entry.times,
            core::format_args!("{status}")
        );
    }
}

/// The file `control`: each line is a control call. The first bad one ends it.
///
/// # Safety
///
/// `text` is valid for reads of `len` bytes, and a [`Files`] lives.
#[no_mangle]
unsafe extern "C" fn tdx_emu_control(_emu: *mut c_void, text: *const c_char, len: usize) -> c_int {
    // SAFETY: The caller vouches for it.
    let text = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), len) };
    let Ok(text) = core::str::from_utf8(text) else {
        pr_err!("control: this is no text\n");
        return EINVAL.to_errno();
    };
    for line in text.lines() {
        if let ControlFlow::Break(error) = control_line(line) {
            return error.to_errno();
        }
    }
    0
}

fn control_line(line: &str) -> ControlFlow<Error> {
    let mut regs = match parse(line) {
        Ok(Some(regs)) => regs,
        Ok(None) => return ControlFlow::Continue(()),
        Err(usage) => {
            pr_err!("control: \"{}\": {}\n", line, usage);
            return ControlFlow::Break(EINVAL);
        }
    };
    trap::call(&mut regs);
    let status = Status::from_raw(regs.rax);
    if status.is_success() {
        return ControlFlow::Continue(());
    }
    pr_err!(
        "control: \"{}\": refused, {}\n",
        line,
        core::format_args!("{status}")
    );
    ControlFlow::Break(EINVAL)
}

// SPDX-License-Identifier: GPL-2.0

//! Trace points: `include/trace/events/tdx_pages.h`.
//!
//! Each is a branch that is patched out while nobody listens. Texts are made only when somebody
//! does, and take memory; without any the event is left out. May sleep.

use crate::abi::{
    Hpa,
    Leaf,
    Status, //
};
use crate::bindings;
use crate::custody::state::Cause;
use crate::users::registry::Owner;

use kernel::{
    fmt,
    prelude::*,
    str::CString,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// Whether somebody listens to a trace point.
macro_rules! on {
    ($key:ident) => {{
        #[cfg(CONFIG_TRACEPOINTS)]
        {
            // SAFETY: It is the static key of a trace point of this kernel module.
            unsafe {
                kernel::jump_label::static_branch_unlikely!(
                    bindings::$key,
                    kernel::bindings::tracepoint,
                    key
                )
            }
        }
        #[cfg(not(CONFIG_TRACEPOINTS))]
        {
            false
        }
    }};
}

/// A text that cannot be made leaves the event out.
fn text(args: fmt::Arguments<'_>) -> Option<CString> {
    CString::try_from_fmt(args).ok()
}

/// A SEAMCALL that is about to be made: when, if somebody wants to know.
#[inline(always)]
pub(crate) fn seamcall_begins() -> Option<Instant<Monotonic>> {
    on!(__tracepoint_tdx_pages_seamcall).then(Instant::now)
}

/// It was made.
#[cold]
pub(crate) fn seamcall_ends(leaf: Leaf, status: Status, took: Delta) {
    let texts = || Some((text(fmt!("{leaf}"))?, text(fmt!("{status}"))?));
    if let Some((leaf, status_text)) = texts() {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(0);
        // SAFETY: The texts outlive the call.
        unsafe {
            bindings::tdx_pages_trace_seamcall(
                leaf.as_char_ptr(),
                status_text.as_char_ptr(),
                status.raw(),
                ns,
            )
        };
    }
}

/// Whether somebody wants to know of each proof.
#[inline(always)]
pub(crate) fn proofs_are_seen() -> bool {
    on!(__tracepoint_tdx_pages_seamcall) || on!(__tracepoint_tdx_pages_proof)
}

/// The proof of a page.
#[inline(always)]
pub(crate) fn proof(page: Hpa, status: Status) {
    if on!(__tracepoint_tdx_pages_proof) {
        if let Some(said) = text(fmt!("{status}")) {
            // SAFETY: The text outlives the call.
            unsafe {
                bindings::tdx_pages_trace_proof(page.get(), said.as_char_ptr(), status.raw())
            };
        }
    }
}

// `char` is `u8` in the kernel.
type Event = unsafe extern "C" fn(*const u8, usize, *const u8);

#[cold]
fn object(event: Event, owner: &Owner, pages: usize, what: fmt::Arguments<'_>) {
    let texts = || Some((text(fmt!("{owner}"))?, text(what)?));
    if let Some((owner, what)) = texts() {
        // SAFETY: The texts outlive the call.
        unsafe { event(owner.as_char_ptr(), pages, what.as_char_ptr()) };
    }
}

/// Memory is on record, and about to be handed over.
#[inline(always)]
pub(crate) fn hand_over(owner: &Owner, pages: usize) {
    if on!(__tracepoint_tdx_pages_hand_over) {
        object(bindings::tdx_pages_trace_hand_over, owner, pages, fmt!(""));
    }
}

/// The TDX Module has it, to be released.
#[inline(always)]
pub(crate) fn held(owner: &Owner, pages: usize) {
    if on!(__tracepoint_tdx_pages_held) {
        object(bindings::tdx_pages_trace_held, owner, pages, fmt!(""));
    }
}

/// The TDX Module has it for good.
#[inline(always)]
pub(crate) fn held_for_good(owner: &Owner, pages: usize) {
    if on!(__tracepoint_tdx_pages_held_for_good) {
        object(
            bindings::tdx_pages_trace_held_for_good,
            owner,
            pages,
            fmt!(""),
        );
    }
}

/// It is taken out of its record, to be released.
#[inline(always)]
pub(crate) fn release(owner: &Owner, pages: usize) {
    if on!(__tracepoint_tdx_pages_release) {
        object(bindings::tdx_pages_trace_release, owner, pages, fmt!(""));
    }
}

/// All of it is the host's again.
#[inline(always)]
pub(crate) fn back(owner: &Owner, pages: usize) {
    if on!(__tracepoint_tdx_pages_back) {
        object(bindings::tdx_pages_trace_back, owner, pages, fmt!(""));
    }
}

/// Pages should be back and are not proved.
#[inline(always)]
pub(crate) fn quarantined(owner: &Owner, pages: usize, cause: &Cause) {
    if on!(__tracepoint_tdx_pages_quarantined) {
        let (why, leaf, status) = (cause.why.text(), cause.leaf, cause.status);
        object(
            bindings::tdx_pages_trace_quarantined,
            owner,
            pages,
            fmt!(", {why}: {leaf} answered {status}"),
        );
    }
}

/// Pages were proved at a later try.
#[inline(always)]
pub(crate) fn retried(owner: &Owner, pages: usize, left: usize) {
    if on!(__tracepoint_tdx_pages_retried) {
        object(
            bindings::tdx_pages_trace_retried,
            owner,
            pages,
            fmt!(" proved, {left} left"),
        );
    }
}

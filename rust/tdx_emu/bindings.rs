// SPDX-License-Identifier: GPL-2.0

//! Declarations of the C members, made by bindgen from `include/tdx_pages/emu.h`.
//!
//! Only `trap`, `memory` and `debugfs` use them.

#![allow(
    clippy::all,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports
)]

include!(env!("TDX_EMU_BINDINGS"));

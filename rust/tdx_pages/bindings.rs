// SPDX-License-Identifier: GPL-2.0

//! Rust declarations of the C members, made by bindgen from `include/tdx_pages/`.
//!
//! Only `seam`, `mm` and the few files that wrap a C helper use this; nobody else names a
//! generated item.

#![allow(
    clippy::all,
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports,
    improper_ctypes
)]

include!(env!("TDX_PAGES_BINDINGS"));

// SPDX-License-Identifier: GPL-2.0

//! The interface of the TDX Module as the host sees it: formats, leaves, statuses, field ids.
//!
//! Pure: it names nothing of the kernel and allocates nothing, so that the very same code is
//! compiled into `tdx_pages.ko`, into `tdx_emu.ko` and on the host, where its tests run.
//!
//! Facts carry a mark: `[2]` two independent public sources agree, `[1]` one source, `[I]`
//! inferred, no source states it. The source documents are named in `Documentation/abi.rst`.

// Each of the three crates that share this uses a part of it.
#![allow(dead_code, unused_imports)]

pub(crate) mod block;
pub(crate) mod doe;
pub(crate) mod emu;
pub(crate) mod emu_device;
pub(crate) mod field;
pub(crate) mod function;
pub(crate) mod hpa;
pub(crate) mod ide;
pub(crate) mod ide_range;
pub(crate) mod leaf;
pub(crate) mod list;
pub(crate) mod spdm;
pub(crate) mod status;

pub(crate) use self::block::Block;
pub(crate) use self::function::FunctionId;
pub(crate) use self::hpa::Hpa;
pub(crate) use self::leaf::Leaf;
pub(crate) use self::status::Status;

/// Bytes of a page of the TDX Module, which knows no larger one for its own data. `[2]`
pub(crate) const PAGE_SIZE: u64 = 4096;

/// HPAs in a root page: 4096 bytes of 8-byte words. `[1]` V2 03/31.
pub(crate) const ROOT_ENTRIES: usize = 512;

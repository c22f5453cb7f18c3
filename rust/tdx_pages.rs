// SPDX-License-Identifier: GPL-2.0

//! Memory that the host hands over to the TDX Module for TDX Connect, and its return.
//!
//! A page goes back to the kernel's allocator only after the TDX Module has proved, for that very
//! 4 KiB page, that it let go of it, or when the call that would have given it away never reached
//! the TDX Module. `Documentation/` tells the states; the modules below are the rooms.

// First, because their macros are used by the others.
#[macro_use]
mod linux;
#[cfg(TDX_PAGES_KUNIT)]
#[macro_use]
#[path = "tdx_pages/emu.rs"]
mod emu;

mod abi;
#[path = "tdx_pages/attach.rs"]
mod attach;
#[cfg(TDX_PAGES_BENCH)]
#[path = "tdx_pages/bench.rs"]
mod bench;
#[path = "tdx_pages/bindings.rs"]
mod bindings;
#[path = "tdx_pages/capi/mod.rs"]
mod capi;
#[path = "tdx_pages/custody/mod.rs"]
mod custody;
#[path = "tdx_pages/debugfs/mod.rs"]
mod debugfs;
#[path = "tdx_pages/mm/mod.rs"]
mod mm;
#[path = "tdx_pages/platform.rs"]
mod platform;
#[path = "tdx_pages/print.rs"]
mod print;
#[cfg(TDX_PAGES_KUNIT)]
#[path = "tdx_pages/reached.rs"]
mod reached;
#[path = "tdx_pages/seam/mod.rs"]
mod seam;
#[path = "tdx_pages/setting.rs"]
mod setting;
#[path = "tdx_pages/trace.rs"]
mod trace;
#[path = "tdx_pages/users/mod.rs"]
mod users;
#[path = "tdx_pages/worker.rs"]
mod worker;
#[cfg(TDX_PAGES_KUNIT)]
#[path = "tdx_pages/wrappers/mod.rs"]
mod wrappers;

use crate::attach::{
    Attached,
    Choice,
    Options, //
};
use crate::debugfs::Debugfs;
use crate::linux::{
    parameter,
    switch, //
};
use crate::seam::profile::Profile;
use kernel::prelude::*;

module! {
    type: TdxPages,
    name: "tdx_pages",
    authors: ["The tdx-pages developers"],
    description: "Host memory handed over to the Intel TDX Module for TDX Connect",
    license: "GPL",
    params: {
        pool: u8 {
            default: 1,
            description: "Bring up the extension pool (default: 1); its pages stay with the TDX Module until the next boot",
        },
        iommu: i32 {
            default: -1,
            description: "Set up the IOMMUs: -1 yes, but not on a real TDX platform (default), 0 no, 1 yes",
        },
        global_keyid: u16 {
            default: 0,
            description: "The global KeyID where the kernel found none, for tdx_emu only",
        },
        profile: i32 {
            default: -1,
            description: "Generation of the interface: -1 by the metadata (default), 0 v2 (host patches of 2026-03), 1 late (later development trees)",
        },
        clflush: i32 {
            default: -1,
            description: "Flush pages before they are handed over: -1 as the TDX Module asks (default), 0 no, 1 yes",
        },
    },
}

struct TdxPages {
    // Fields are dropped in order: nobody comes or looks in any more when things come down.
    #[cfg(TDX_PAGES_BENCH)]
    _bench: bench::Bench,
    _capi: capi::Open,
    _debugfs: Option<Debugfs>,
    _attached: Attached,
    // The last: what happens while the others go counts too.
    #[cfg(TDX_PAGES_KUNIT)]
    _told: reached::Told,
}

impl kernel::Module for TdxPages {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: Here, and nowhere else; nobody can reach this kernel module yet.
        unsafe { capi::init() };
        let options = Options {
            pool: switch("pool", module_parameters::pool.value())?,
            iommu: Choice::from_parameter("iommu", parameter(module_parameters::iommu.value()))?,
            clflush: Choice::from_parameter(
                "clflush",
                parameter(module_parameters::clflush.value()),
            )?,
            profile: Profile::from_parameter(parameter(module_parameters::profile.value()))?,
            global_keyid: parameter(module_parameters::global_keyid.value()),
            ..Options::default()
        };
        let attached = Attached::new(options)?;
        Ok(Self {
            #[cfg(TDX_PAGES_BENCH)]
            _bench: bench::Bench::new(attached.kernel())?,
            _capi: capi::Open::new(attached.kernel())?,
            _debugfs: Debugfs::new(attached.kernel()),
            _attached: attached,
            #[cfg(TDX_PAGES_KUNIT)]
            _told: reached::Told,
        })
    }
}

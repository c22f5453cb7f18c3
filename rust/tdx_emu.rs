// SPDX-License-Identifier: GPL-2.0

//! The software TDX Module.
//!
//! Where there is no TDX, SEAMCALL is an undefined instruction. This kernel module catches it and
//! answers as a TDX Module would, so that host code runs unmodified, down to the instruction, in
//! any virtual machine.
//!
//! The `model` decides; it is pure, and is tested on the host. Everything else here gives it the
//! memory of the machine (`memory`), the instruction (`trap`), an eye on the host (`watch`, `report`)
//! and a face (`debugfs`).

use kernel::prelude::*;

#[path = "abi/mod.rs"]
mod abi;
#[path = "tdx_emu/bindings.rs"]
mod bindings;
#[path = "tdx_emu/debugfs.rs"]
mod debugfs;
#[cfg(TDX_PAGES_KUNIT)]
#[macro_use]
#[path = "tdx_emu/expect.rs"]
mod expect;
// tdx_pages wants more of it.
#[allow(dead_code, unused_macros)]
mod linux;
#[path = "tdx_emu/memory.rs"]
mod memory;
#[path = "tdx_emu/model/mod.rs"]
mod model;
#[cfg(TDX_PAGES_KUNIT)]
#[path = "tdx_emu/planted.rs"]
mod planted;
#[path = "tdx_emu/report.rs"]
mod report;
#[cfg(TDX_PAGES_KUNIT)]
#[path = "tdx_emu/suite.rs"]
mod suite;
#[path = "tdx_emu/trap.rs"]
mod trap;
#[path = "tdx_emu/watch.rs"]
mod watch;

use self::{
    debugfs::Files,
    linux::{
        parameter,
        switch, //
    },
    memory::Memory,
    model::Config,
    trap::{
        Emu,
        Trap, //
    }, //
};

module! {
    type: TdxEmu,
    name: "tdx_emu",
    authors: ["The tdx-pages developers"],
    description: "Software TDX Module that answers SEAMCALL where there is no TDX",
    license: "GPL",
    params: {
        global_keyid: u32 {
            default: 32,
            description: "Global KeyID, with which pages must be flushed (32)",
        },
        pool_pages: u64 {
            default: 12800,
            description: "MEMORY_POOL_REQUIRED_PAGES (12800)",
        },
        pool_u32: u8 {
            default: 0,
            description: "Offer the pool size as u32 and EXT_REQUIRED as u8 field (0: both u16)",
        },
        ext_required: u32 {
            default: 1,
            description: "EXT_REQUIRED (1)",
        },
        iommu_mt_pages: u32 {
            default: 8,
            description: "IOMMU_MT_PAGE_COUNT (8)",
        },
        spdm_mt_pages: u32 {
            default: 3,
            description: "SPDM_MT_PAGE_COUNT (3)",
        },
        ide_mt_pages: u32 {
            default: 1,
            description: "IDE_MT_PAGE_COUNT (1)",
        },
        spdm_max_dev_info_pages: u32 {
            default: 4,
            description: "SPDM_MAX_DEV_INFO_PAGES (4)",
        },
        features0: u64 {
            default: 0x80_0000_0040,
            description: "TDX_FEATURES0 (bit 6 TDX Connect, bit 39 extensions)",
        },
        profile_late: u8 {
            default: 0,
            description: "Name control pages by HPA_LIST_INFO, end objects by id only (0)",
        },
        memory_mb: u64 {
            default: 8192,
            description: "Most memory to keep page states for, in MiB; 8 bytes a page (8192)",
        },
    },
}

struct TdxEmu {
    // It holds the trap, which holds the model: each goes away before what it stands on.
    _files: Files,
}

fn config() -> Result<Config> {
    let config = Config {
        phys_bits: memory::phys_bits(),
        global_keyid: parameter::<u32>(module_parameters::global_keyid.value()).into(),
        features0: parameter(module_parameters::features0.value()),
        pool_pages: parameter(module_parameters::pool_pages.value()),
        pool_u32: switch("pool_u32", module_parameters::pool_u32.value())?,
        ext_required: parameter::<u32>(module_parameters::ext_required.value()).into(),
        iommu_mt_pages: parameter::<u32>(module_parameters::iommu_mt_pages.value()).into(),
        spdm_mt_pages: parameter::<u32>(module_parameters::spdm_mt_pages.value()).into(),
        ide_mt_pages: parameter::<u32>(module_parameters::ide_mt_pages.value()).into(),
        spdm_max_dev_info_pages: parameter::<u32>(
            module_parameters::spdm_max_dev_info_pages.value(),
        )
        .into(),
        profile_late: switch("profile_late", module_parameters::profile_late.value())?,
    };
    config.check().map_err(|what| {
        pr_err!("{}\n", what);
        EINVAL
    })?;
    Ok(config)
}

impl kernel::Module for TdxEmu {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        if trap::real_tdx() {
            pr_err!("a real TDX Module may be here: a software one is for virtual machines\n");
            return Err(EBUSY);
        }
        let config = config()?;
        let memory = Memory::new(parameter(module_parameters::memory_mb.value()))?;
        let covered = memory.covered_mb();
        let files = Files::new(Trap::new(Emu::new(memory, config)?)?);
        pr_info!(
            "software TDX Module on {} MiB: {} profile, global KeyID {}, pool of {} pages\n",
            covered,
            if config.profile_late { "late" } else { "v2" },
            config.global_keyid,
            config.pool_pages
        );
        Ok(Self { _files: files })
    }
}

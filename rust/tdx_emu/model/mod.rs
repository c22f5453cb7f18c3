// SPDX-License-Identifier: GPL-2.0

//! The software TDX Module as a state machine.
//!
//! Pure: no kernel, no allocation, no panic on any input, no loop without a bound. The very same
//! code answers SEAMCALL in `tdx_emu.ko` and runs in host tests.
//!
//! It is a TDX Module that is initialised already, with every optional feature of its FEATURES0
//! opted in. Facts carry the marks of [`crate::abi`].

// The host crate and the kernel module each use a part of it.
#![allow(dead_code)]

pub(crate) mod bugs;
pub(crate) mod command;
mod control;
pub(crate) mod counters;
pub(crate) mod exchange;
pub(crate) mod faults;
mod fields;
pub(crate) mod ide;
pub(crate) mod iommus;
mod leaf_exchange;
pub(crate) mod leaf_ext;
mod leaf_ide;
mod leaf_iommu;
mod leaf_km;
mod leaf_page;
mod leaf_spdm;
mod leaf_sys;
mod lists;
pub(crate) mod machine;
pub(crate) mod page;
mod pages;
mod regs;
mod released;
mod resume;
#[cfg(test)]
pub(crate) mod sim;
pub(crate) mod spdm;
mod table;
mod talk;

pub(crate) use self::machine::Machine;
pub(crate) use self::pages::Balance;
pub(crate) use self::regs::Regs;

use self::{
    bugs::Bugs,
    counters::Counters,
    exchange::ExtSlot,
    faults::Faults,
    fields::Fields,
    iommus::Iommus,
    pages::Pages,
    resume::Resume,
    talk::Manners, //
};
use crate::abi::{
    emu::Control,
    field::Field,
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};

/// What a TDX Module is like when it is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// Address bits below the KeyID.
    pub(crate) phys_bits: u32,
    /// The KeyID that the TDX Module keeps its own pages with.
    pub(crate) global_keyid: u64,
    /// TDX_FEATURES0.
    pub(crate) features0: u64,
    /// MEMORY_POOL_REQUIRED_PAGES.
    pub(crate) pool_pages: u64,
    /// Whether that is the u32 field, and EXT_REQUIRED the u8 one.
    pub(crate) pool_u32: bool,
    /// EXT_REQUIRED.
    pub(crate) ext_required: u64,
    /// IOMMU_MT_PAGE_COUNT.
    pub(crate) iommu_mt_pages: u64,
    /// SPDM_MT_PAGE_COUNT.
    pub(crate) spdm_mt_pages: u64,
    /// IDE_MT_PAGE_COUNT.
    pub(crate) ide_mt_pages: u64,
    /// SPDM_MAX_DEV_INFO_PAGES.
    pub(crate) spdm_max_dev_info_pages: u64,
    /// The late profile instead of v2: control pages of sessions and streams are named by
    /// HPA_LIST_INFO, and what ends an object takes its id only and writes no list back.
    pub(crate) profile_late: bool,
}

impl Config {
    /// Whether there can be such a TDX Module; else what is wrong and what to do about it.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let pool = if self.pool_u32 {
            Field::POOL_REQUIRED_PAGES_U32
        } else {
            Field::POOL_REQUIRED_PAGES_U16
        };
        if self.pool_pages > pool.max() {
            return Err("pool_pages is above 65535, which the field cannot hold: use pool_u32=1");
        }
        if self.ext_required > Field::EXT_REQUIRED_U8.max() {
            return Err("ext_required is above 255: use 0 or 1");
        }
        if self.iommu_mt_pages > Field::IOMMU_MT_PAGE_COUNT.max() {
            return Err("iommu_mt_pages is above 65535, which the field cannot hold");
        }
        if self.spdm_mt_pages > Field::SPDM_MT_PAGE_COUNT.max() {
            return Err("spdm_mt_pages is above 65535, which the field cannot hold");
        }
        if self.ide_mt_pages > Field::IDE_MT_PAGE_COUNT.max() {
            return Err("ide_mt_pages is above 65535, which the field cannot hold");
        }
        if self.spdm_max_dev_info_pages > Field::SPDM_MAX_DEV_INFO_PAGES.max() {
            return Err("spdm_max_dev_info_pages is above 65535, which the field cannot hold");
        }
        if self.phys_bits < 13 || self.phys_bits > 51 {
            return Err(
                "physical addresses leave no room for KeyIDs below bit 52: give the \
                        virtual machine fewer address bits",
            );
        }
        if self.global_keyid == 0 || self.global_keyid >> (52 - self.phys_bits) != 0 {
            return Err("global_keyid is 0 or does not fit between the address bits and bit 52");
        }
        Ok(())
    }
}

/// The software TDX Module.
#[derive(Clone)]
pub(crate) struct Model<M> {
    config: Config,
    // As in the configuration, unless a control call says otherwise.
    late: bool,
    pages: Pages<M>,
    fields: Fields,
    iommus: Iommus,
    faults: Faults,
    resume: Resume,
    counters: Counters,
    ext_ready: bool,
    ext_slot: ExtSlot,
    manners: Manners,
    /// It is being updated at run time, and not ready meanwhile.
    updating: bool,
}

impl<M: Machine> Model<M> {
    /// A TDX Module on `machine` that owns nothing.
    ///
    /// `config` must have passed [`Config::check`].
    pub(crate) fn new(machine: M, config: Config) -> Self {
        Self {
            pages: Pages::new(machine, config.phys_bits),
            fields: Fields::new(&config),
            iommus: Iommus::NONE,
            faults: Faults::NONE,
            resume: Resume::NOTHING,
            counters: Counters::default(),
            ext_ready: false,
            ext_slot: ExtSlot::FREE,
            manners: Manners::USUAL,
            updating: false,
            late: config.profile_late,
            config,
        }
    }

    /// Answers a SEAMCALL: takes leaf and operands from the registers and puts status and outputs
    /// there.
    pub(crate) fn seamcall(&mut self, regs: &mut Regs) {
        if let Some(control) = Control::from_raw(regs.rax) {
            regs.rax = Self::status(self.control(control, regs)).raw();
            return;
        }
        let leaf = Leaf::from_raw(regs.rax);
        let status = self.dispatch(leaf, regs);
        self.counters.count(leaf, status);
        regs.rax = status.raw();
    }

    /// The checks of RAX in the order of M15: reserved bits, version, ready, leaf number. `[1]`
    ///
    /// It would be shut down between the second and the third; a fault can say so. Not ready,
    /// TDH.SYS.RD is answered all the same, `[1]`; that a run-time update looks like that is `[I]`.
    fn dispatch(&mut self, leaf: Leaf, regs: &mut Regs) -> Status {
        const BAD_RAX: Status = Status::OPERAND_INVALID.on(Operand::Rax);

        if leaf.has_reserved_bits() || leaf.version() != 0 {
            return BAD_RAX;
        }
        if self.updating && leaf != Leaf::SYS_RD {
            return Status::SYS_NOT_READY;
        }
        let Some(place) = faults::index(leaf.number()) else {
            return BAD_RAX;
        };
        let asked = (regs.rcx, regs.rdx);
        let fault = self.faults.hit(place);
        let status = match fault {
            Some(fault) if !fault.after => fault.status,
            _ => {
                let status = Self::status(self.run(leaf, regs));
                fault.map_or(status, |fault| fault.status)
            }
        };
        // What was not executed, or may go on, leaves an interrupted leaf as it is.
        let stays = status.is_recoverable()
            || status.is_not_executed()
            || status == Status::INVALID_RESUMPTION;
        if !stays {
            self.resume.end(leaf);
        }
        if !stays && fault.is_some() {
            self.break_off(leaf, asked, status);
        }
        status
    }

    /// A fault is an end for what is said to a device, too, unless the answer says that it goes on, or
    /// that this call was wrong. `[I]`
    fn break_off(&mut self, leaf: Leaf, (rcx, rdx): (u64, u64), status: Status) {
        let goes_on = status.is_success_class()
            || [
                Status::SPDM_REQUEST,
                Status::SPDM_SESSION_KEY_REQUIRE_REFRESH,
                Status::SDPM_INVALID_MESSAGE,
                Status::IDE_STREAM_INVALID_RESPONSE,
                Status::OPERAND_INVALID,
            ]
            .contains(&status.masked());
        if goes_on {
            return;
        }
        if leaf == Leaf::IDE_STREAM_KM {
            let streams = self.pages.machine.streams_mut();
            let found = table::find(streams, ide::FIRST_ID, rdx).map(|(slot, _)| slot);
            if let Some(Some(stream)) = found.and_then(|slot| streams.get_mut(slot)) {
                stream.exchange = None;
            }
        }
        if let Some(running) = self.ext_slot.running() {
            if running.leaf == leaf && running.id == rcx {
                self.ext_slot.end(&running);
            }
        }
    }

    fn run(&mut self, leaf: Leaf, regs: &mut Regs) -> Result<(), Status> {
        match leaf {
            Leaf::SYS_RD => self.sys_rd(regs),
            Leaf::EXT_MEM_ADD => self.ext_mem_add(regs),
            Leaf::EXT_INIT => self.ext_init(),
            Leaf::IOMMU_SETUP => self.iommu_setup(regs),
            Leaf::IOMMU_CLEAR => self.iommu_clear(regs),
            Leaf::PHYMEM_PAGE_WBINVD => self.phymem_page_wbinvd(regs),
            Leaf::PHYMEM_PAGE_RECLAIM => self.phymem_page_reclaim(regs),
            Leaf::PHYMEM_PAGE_RDMD => self.phymem_page_rdmd(regs),
            Leaf::SPDM_CREATE => self.spdm_create(regs),
            Leaf::SPDM_DELETE => self.spdm_delete(regs),
            Leaf::SPDM_CONNECT => self.spdm_connect(regs),
            Leaf::SPDM_DISCONNECT => self.spdm_disconnect(regs),
            Leaf::SPDM_MNG => self.spdm_mng(regs),
            Leaf::IDE_STREAM_CREATE => self.ide_stream_create(regs),
            Leaf::IDE_STREAM_BLOCK => self.ide_stream_block(regs),
            Leaf::IDE_STREAM_DELETE => self.ide_stream_delete(regs),
            Leaf::IDE_STREAM_KM => self.ide_stream_km(regs),
            _ => Err(Status::OPERAND_INVALID.on(Operand::Rax)),
        }
    }

    fn status(result: Result<(), Status>) -> Status {
        match result {
            Ok(()) => Status::SUCCESS,
            Err(status) => status,
        }
    }

    /// As if it had just been loaded. The host's pages come back without any proof, so this is for
    /// tests and for people who want to unload it.
    fn reset(&mut self) {
        self.late = self.config.profile_late;
        self.pages.reset();
        self.fields = Fields::new(&self.config);
        self.iommus = Iommus::NONE;
        self.faults = Faults::NONE;
        self.resume = Resume::NOTHING;
        self.counters = Counters::default();
        self.ext_ready = false;
        self.ext_slot = ExtSlot::FREE;
        self.manners = Manners::USUAL;
        self.updating = false;
        self.pages.machine.sessions_mut().fill(None);
        self.pages.machine.streams_mut().fill(None);
    }

    /// How it was loaded.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The page balance.
    pub(crate) fn balance(&self) -> Balance {
        self.pages.balance
    }

    /// What the host did wrong.
    pub(crate) fn bugs(&self) -> &Bugs {
        &self.pages.bugs
    }

    /// The same, to take out what is to be printed.
    pub(crate) fn bugs_mut(&mut self) -> &mut Bugs {
        &mut self.pages.bugs
    }

    /// Calls by leaf.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// IOMMUs that are set up.
    pub(crate) fn iommu_count(&self) -> usize {
        self.iommus.count()
    }

    /// Sessions that there are.
    pub(crate) fn session_count(&self) -> usize {
        table::count(self.pages.machine.sessions())
    }

    /// IDE streams that there are.
    pub(crate) fn stream_count(&self) -> usize {
        table::count(self.pages.machine.streams())
    }

    /// The machine.
    pub(crate) fn machine_mut(&mut self) -> &mut M {
        &mut self.pages.machine
    }

    /// Looks for host writes in owned pages from the page frame number `from` on: at most `pages`
    /// owned ones, among at most `states` in all. Gives where to go on, [`None`] at the end.
    pub(crate) fn inspect_owned(
        &mut self,
        from: usize,
        states: usize,
        pages: usize,
    ) -> Option<usize> {
        self.pages.inspect_owned(from, states, pages)
    }

    /// The state of one page; [`None`] if it is not managed.
    pub(crate) fn page(&self, page: Hpa) -> Option<page::PageState> {
        self.pages.state(page)
    }
}

#[cfg(test)]
mod tests;

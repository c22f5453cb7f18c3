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
mod config;
mod control;
pub(crate) mod counters;
pub(crate) mod exchange;
pub(crate) mod faults;
mod feed;
mod fields;
pub(crate) mod ide;
pub(crate) mod iommus;
pub(crate) mod journal;
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
pub(crate) mod mix;
mod outputs;
pub(crate) mod page;
mod pages;
mod progress;
mod regs;
mod released;
mod resume;
#[cfg(test)]
pub(crate) mod sim;
pub(crate) mod spdm;
mod table;
mod talk;
mod watched;
mod words;

pub(crate) use self::config::Config;
pub(crate) use self::machine::Machine;
pub(crate) use self::pages::Balance;
pub(crate) use self::regs::Regs;

use self::{
    bugs::{
        Bugs,
        Place,
        Watch, //
    },
    counters::Counters,
    exchange::ExtSlot,
    faults::Faults,
    feed::Feed,
    fields::Fields,
    iommus::Iommus,
    journal::Journal,
    mix::Mix,
    outputs::Left,
    pages::Pages,
    resume::Resume,
    talk::Manners, //
};
use crate::abi::{
    emu::Control,
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};
use core::mem::MaybeUninit;

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
    journal: Journal,
    ext_ready: bool,
    ext_slot: ExtSlot,
    manners: Manners,
    /// It is being updated at run time, and not ready meanwhile.
    updating: bool,
    /// What was taken for the pool by the last call, and is not known to be forgotten.
    feed: Feed,
    /// What the last call left in the output registers.
    left: Left,
    // As the machine is, whatever is reset.
    watch: Watch,
}

impl<M: Machine> Model<M> {
    /// Makes a TDX Module on `machine` that owns nothing, in the place where it is to stay.
    ///
    /// It is larger than a kernel stack bears, so that it is made part by part. `config` must have
    /// passed [`Config::check`].
    pub(crate) fn init(place: &mut MaybeUninit<Self>, machine: M, config: Config) -> &mut Self {
        let at = place.as_mut_ptr();
        macro_rules! write {
            ($($field:ident: $value:expr,)+) => {
                // A field that is forgotten here does not compile.
                let _ = |model: Self| {
                    let Self { $($field: _),+ } = model;
                };
                // SAFETY: `at` is valid for writes; each field is written before any is read.
                $(unsafe { (&raw mut (*at).$field).write($value) };)+
            };
        }
        write! {
            pages: Pages::new(machine, config.phys_bits),
            fields: Fields::new(&config),
            iommus: Iommus::NONE,
            faults: Faults::NONE,
            resume: Resume::NOTHING,
            counters: Counters::default(),
            journal: Journal::EMPTY,
            ext_ready: false,
            ext_slot: ExtSlot::FREE,
            manners: Manners::USUAL,
            updating: false,
            feed: Feed::NOTHING,
            left: Left::default(),
            watch: Watch::default(),
            late: config.profile_late,
            config: config,
        }
        // SAFETY: Every field is written.
        unsafe { place.assume_init_mut() }
    }

    /// The same by value, where there is stack enough.
    #[cfg(test)]
    pub(crate) fn new(machine: M, config: Config) -> Self {
        let mut place = MaybeUninit::uninit();
        Self::init(&mut place, machine, config);
        // SAFETY: `init()` has done that.
        unsafe { place.assume_init() }
    }

    /// Answers a SEAMCALL: takes leaf and operands from the registers and puts status and outputs
    /// there.
    pub(crate) fn seamcall(&mut self, regs: &mut Regs) {
        let caller = regs.rip;
        self.pages.wants_flush = self.wants_flush();
        if let Some(control) = Control::from_raw(regs.rax) {
            self.pages.bugs.at(Place { leaf: None, caller });
            regs.rax = Self::status(self.control(control, regs)).raw();
            return;
        }
        let leaf = Leaf::from_raw(regs.rax);
        self.pages.bugs.at(Place {
            leaf: Some(leaf),
            caller,
        });
        let status = self.dispatch(leaf, regs);
        self.counters.count(leaf, status);
        self.journal.note(leaf, status);
        regs.rax = status.raw();
    }

    /// The checks of RAX in the order of M15: reserved bits, version, ready, leaf number. `[1]`
    ///
    /// It would be shut down between the second and the third; a fault can say so. Not ready,
    /// TDH.SYS.RD is answered all the same, `[1]`; that a run-time update looks like that is `[I]`.
    fn dispatch(&mut self, leaf: Leaf, regs: &mut Regs) -> Status {
        const BAD_RAX: Status = Status::OPERAND_INVALID.on(Operand::Rax);

        if leaf.has_reserved_bits() || leaf.version() != 0 {
            return self.own(leaf, BAD_RAX);
        }
        if self.updating && leaf != Leaf::SYS_RD {
            return self.own(leaf, Status::SYS_NOT_READY);
        }
        let Some(place) = faults::index(leaf.number()) else {
            return self.own(leaf, BAD_RAX);
        };
        let asked = (regs.rcx, regs.rdx);
        self.faults.begin(place, self.late);
        let set = self
            .faults
            .hit(place)
            .map(|fault| (fault.status, fault.after));
        let (status, is_fault) = match set.or(self.faults.chance()) {
            Some((status, false)) => (status, true),
            fault => {
                let own = Self::status(self.run(leaf, regs));
                let own = self.own(leaf, own);
                if own.is_success() {
                    regs.rcx = self.faults.take_id(place).unwrap_or(regs.rcx);
                }
                // Chance does not hide that a leaf was interrupted, or that it failed by itself.
                match fault.filter(|_| set.is_some() || own.is_success()) {
                    Some((status, _)) => {
                        // The host does not know what was done.
                        self.feed = Feed::NOTHING;
                        (status, true)
                    }
                    None => (own, false),
                }
            }
        };
        let outputs = self.faults.outputs(place);
        self.left.leave(outputs, leaf, self.late, status, regs);
        self.faults.end();
        // What was not executed, or may go on, leaves an interrupted leaf as it is.
        let stays = status.is_recoverable()
            || status.is_not_executed()
            || status == Status::INVALID_RESUMPTION;
        if !stays {
            self.resume.end(leaf);
        }
        if !stays && is_fault {
            self.break_off(leaf, asked, status);
        }
        status
    }

    /// An answer that no fault has given: in host tests, one that its table has a row of.
    fn own(&self, _leaf: Leaf, status: Status) -> Status {
        #[cfg(test)]
        tests::rules::demand(_leaf, self.late, status);
        status
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
        self.journal.clear();
        self.ext_ready = false;
        self.ext_slot = ExtSlot::FREE;
        self.manners = Manners::USUAL;
        self.updating = false;
        self.feed = Feed::NOTHING;
        self.left = Left::default();
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

    /// What chance makes of calls, to tell when it was set.
    pub(crate) fn mix(&self) -> &Mix {
        &self.faults.mix
    }

    /// The same, to take out what is to be printed.
    pub(crate) fn mix_mut(&mut self) -> &mut Mix {
        &mut self.faults.mix
    }

    /// Calls by leaf.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The last calls, in order.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
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

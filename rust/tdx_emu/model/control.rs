// SPDX-License-Identifier: GPL-2.0

//! The control calls of [`crate::abi::emu`].

use super::{
    bugs::Bug,
    faults::{
        index,
        Fault,
        Interrupt,
        Keep, //
    },
    machine::Machine,
    mix::Mix,
    outputs::{
        has_outputs,
        Outputs, //
    },
    progress::Progress,
    regs::Regs,
    released::Released,
    Model, //
};
use crate::abi::{
    emu::{
        Control,
        MAGIC, //
    },
    field::Field,
    status::Operand,
    Hpa,
    Leaf,
    Status,
    ROOT_ENTRIES, //
};

const fn bad(operand: Operand) -> Status {
    Status::OPERAND_INVALID.on(operand)
}

impl<M: Machine> Model<M> {
    /// Does what a control call asks for.
    pub(super) fn control(&mut self, control: Control, regs: &mut Regs) -> Result<(), Status> {
        match control {
            Control::Ping => regs.r8 = MAGIC,
            Control::Reset => self.reset(),
            Control::SetField => self.set_field(regs)?,
            Control::Fail => self.set_fault(regs)?,
            Control::Interrupt => self.set_interrupt(regs)?,
            Control::Refuse => {
                let base = Hpa::new(regs.rcx).ok_or(bad(Operand::Rcx))?;
                if !self.faults.refuse(base.get()) {
                    return Err(bad(Operand::Rcx));
                }
            }
            Control::Calls => {
                index(regs.rcx).ok_or(bad(Operand::Rcx))?;
                let counter = self.counters.get(Leaf::from_raw(regs.rcx));
                regs.r8 = counter.calls;
                regs.r9 = counter.ok;
            }
            Control::Balance => {
                let balance = self.pages.balance;
                regs.rcx = balance.taken;
                regs.rdx = balance.released;
                regs.r8 = balance.pool;
                regs.r9 = balance.held;
                regs.r10 = balance.unproved;
                regs.r11 = self.pages.bugs.total();
            }
            Control::Page => self.read_page(regs)?,
            Control::KeepPages => self.keep_pages(regs)?,
            Control::Exchange => self.set_manners(regs)?,
            Control::Released => self.set_released(regs)?,
            Control::Update => self.update(regs)?,
            Control::Id => {
                let gives_one = matches!(
                    Leaf::from_raw(regs.rcx),
                    Leaf::IOMMU_SETUP | Leaf::SPDM_CREATE | Leaf::IDE_STREAM_CREATE
                );
                let leaf = index(regs.rcx).filter(|_| gives_one);
                self.faults.id = Some((leaf.ok_or(bad(Operand::Rcx))?, regs.rdx));
            }
            Control::Progress => self.set_progress(regs)?,
            Control::Outputs => self.set_outputs(regs)?,
            Control::Mix => {
                let leaf = match regs.r8 {
                    0 => None,
                    number => Some(index(number).ok_or(bad(Operand::R8))?),
                };
                let mix = Mix::new(regs.rcx, regs.rdx, leaf);
                self.faults.mix = mix.ok_or(bad(Operand::Rcx))?;
            }
            Control::Profile => {
                self.late = match regs.rcx {
                    0 => false,
                    1 => true,
                    _ => return Err(bad(Operand::Rcx)),
                }
            }
            Control::HostBugs => {
                let mut kinds = Bug::ALL.into_iter();
                let bug = kinds.find(|bug| *bug as u64 == regs.rcx);
                let bug = bug.ok_or(bad(Operand::Rcx))?;
                let first = self.bugs().first(bug);
                regs.rdx = u64::from(self.watch.sees(bug));
                regs.r8 = self.bugs().count(bug);
                regs.r9 = first.map_or(0, |first| first.hpa);
                regs.r10 = first.map_or(0, |first| first.detail);
                regs.r11 = first.map_or(0, |first| first.place.caller);
            }
            Control::Objects => {
                // CAST: Small counts.
                regs.rcx = self.iommu_count() as u64;
                regs.rdx = self.session_count() as u64;
                regs.r8 = self.stream_count() as u64;
                regs.r9 = u64::from(self.ext_slot.running().is_some());
            }
        }
        Ok(())
    }

    fn set_field(&mut self, regs: &Regs) -> Result<(), Status> {
        let field = Field::from_raw(regs.rcx);
        let set = match regs.r8 {
            0 => self.fields.set(field, Some(regs.rdx)),
            1 => self.fields.set(field, None),
            2 | 3 if regs.r9 == 0 => return Err(bad(Operand::R9)),
            2 | 3 => self.fields.lie(field, regs.rdx, regs.r9, regs.r8 == 3),
            _ => return Err(bad(Operand::R8)),
        };
        set.ok_or(bad(Operand::Rcx))
    }

    fn set_interrupt(&mut self, regs: &Regs) -> Result<(), Status> {
        let leaf = index(regs.rcx).ok_or(bad(Operand::Rcx))?;
        let takes_entries = regs.rcx == Leaf::EXT_MEM_ADD.number();
        let when = match regs.r8 {
            0 => Interrupt::Every(regs.rdx),
            // CAST: 512.
            1 if takes_entries && regs.rdx >= ROOT_ENTRIES as u64 => {
                return Err(bad(Operand::Rdx));
            }
            1 if regs.rdx == 0 => return Err(bad(Operand::Rdx)),
            1 => Interrupt::At(regs.rdx),
            2 if takes_entries => Interrupt::Last,
            2 => return Err(bad(Operand::Rcx)),
            _ => return Err(bad(Operand::R8)),
        };
        self.faults.interrupt(leaf, when);
        Ok(())
    }

    fn set_progress(&mut self, regs: &Regs) -> Result<(), Status> {
        self.faults.progress = match regs.rcx {
            0 => Progress::Truth,
            1 => Progress::Stalled,
            2 => Progress::Back(regs.rdx),
            3 => Progress::Ahead(regs.rdx),
            4 => Progress::Word(regs.rdx),
            _ => return Err(bad(Operand::Rcx)),
        };
        Ok(())
    }

    fn set_outputs(&mut self, regs: &Regs) -> Result<(), Status> {
        let leaf = index(regs.rcx).filter(|_| has_outputs(Leaf::from_raw(regs.rcx)));
        let leaf = leaf.ok_or(bad(Operand::Rcx))?;
        let always = match regs.r9 {
            0 => false,
            1 => true,
            _ => return Err(bad(Operand::R9)),
        };
        let outputs = match regs.rdx {
            0 => Outputs::TRUE,
            1 => Outputs::stale(always),
            2 => Outputs::word(regs.r8, always),
            _ => return Err(bad(Operand::Rdx)),
        };
        self.faults.set_outputs(leaf, outputs);
        Ok(())
    }

    fn set_fault(&mut self, regs: &Regs) -> Result<(), Status> {
        let leaf = index(regs.rcx).ok_or(bad(Operand::Rcx))?;
        if regs.r10 == 0 {
            self.faults.clear(leaf);
            return Ok(());
        }
        let skip = regs.rdx.checked_sub(1).ok_or(bad(Operand::Rdx))?;
        let status = Status::from_raw(regs.r8);
        let after = match regs.r9 {
            0 => false,
            1 => true,
            _ => return Err(bad(Operand::R9)),
        };
        // The one answer that a host has to trust is the success of the proof: no lie about that.
        let is_proof = regs.rcx == Leaf::PHYMEM_PAGE_WBINVD.number();
        if is_proof && status.is_success_class() {
            return Err(bad(Operand::R8));
        }
        let fault = Fault {
            skip,
            times: regs.r10,
            status,
            after,
        };
        if self.faults.push(leaf, fault) {
            Ok(())
        } else {
            Err(bad(Operand::Rcx))
        }
    }

    fn read_page(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let page = Hpa::new(regs.rcx).ok_or(bad(Operand::Rcx))?;
        let state = self.pages.state(page).ok_or(bad(Operand::Rcx))?;
        if state.is_owned() {
            self.pages.inspect(page);
        }
        regs.rcx = state.page_type() as u64;
        regs.rdx = u64::from(state.owner());
        regs.r8 = u64::from(state.is_dirty());
        Ok(())
    }

    fn set_manners(&mut self, regs: &Regs) -> Result<(), Status> {
        let value = regs.rdx;
        let manners = &mut self.manners;
        match regs.rcx {
            0 => manners.rounds = value,
            1 => manners.device_info = value,
            2 => manners.told = (value != 0).then_some(value),
            3 => manners.key_lasts = value,
            _ => return Err(bad(Operand::Rcx)),
        }
        Ok(())
    }

    fn set_released(&mut self, regs: &Regs) -> Result<(), Status> {
        // An index into a list.
        let index = |operand| {
            let word = match operand {
                Operand::R8 => regs.r8,
                _ => regs.rdx,
            };
            usize::try_from(word)
                .ok()
                .filter(|index| *index < ROOT_ENTRIES)
                .ok_or(bad(operand))
        };
        self.faults.released = match regs.rcx {
            0 => Released::Truth,
            1 if matches!(regs.rdx, 1..=512) => Released::Count(regs.rdx),
            1 => return Err(bad(Operand::Rdx)),
            2 => Released::Foreign {
                hpa: regs.rdx,
                index: index(Operand::R8)?,
            },
            3 => Released::Repeated(index(Operand::Rdx)?),
            4 => Released::Shifted(index(Operand::Rdx)?),
            5 => Released::Reversed,
            6 => Released::Word(regs.rdx),
            7 => Released::Unwritten,
            _ => return Err(bad(Operand::Rcx)),
        };
        Ok(())
    }

    fn update(&mut self, regs: &Regs) -> Result<(), Status> {
        match regs.rcx {
            0 => self.updating = false,
            1 => self.updating = true,
            2 => {
                self.updating = false;
                self.ext_ready = false;
                self.fields.require_ext(regs.rdx);
            }
            _ => return Err(bad(Operand::Rcx)),
        }
        Ok(())
    }

    fn keep_pages(&mut self, regs: &Regs) -> Result<(), Status> {
        let reclaim_keeps = match regs.r8 {
            0 => false,
            1 => true,
            _ => return Err(bad(Operand::R8)),
        };
        self.faults.keep = match regs.rcx {
            0 => Keep::None,
            1 => Keep::All,
            2 => Keep::Page(Hpa::new(regs.rdx).ok_or(bad(Operand::Rdx))?),
            _ => return Err(bad(Operand::Rcx)),
        };
        self.faults.reclaim_keeps = reclaim_keeps;
        if self.faults.keep == Keep::None {
            self.pages.let_go_of_kept();
        }
        Ok(())
    }
}

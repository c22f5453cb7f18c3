// SPDX-License-Identifier: GPL-2.0

//! Leaves that make and end a session, and what all leaves on sessions and streams check first.

use super::{
    lists::{
        Listed,
        Place, //
    },
    machine::Machine,
    regs::Regs,
    resume::NO_LIST,
    spdm::{
        Session,
        FIRST_ID,
        SESSIONS, //
    },
    table,
    Model, //
};
use crate::abi::{
    field::{
        Features0,
        Field, //
    },
    status::Operand,
    FunctionId,
    Hpa,
    Leaf,
    Status, //
};

/// Where a DELETE says which pages come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aux {
    /// Nowhere: the late profile.
    Nowhere,
    /// There is one page only, so in RCX.
    InPlace,
    /// In this page.
    Page(Hpa),
}

impl<M: Machine> Model<M> {
    /// TDX Connect must be there. Which status tells so is `[I]`.
    pub(super) fn connect(&self) -> Result<(), Status> {
        if self.fields.features().has(Features0::TDX_CONNECT) {
            Ok(())
        } else {
            Err(Status::CONNECT_INVALID_STATE)
        }
    }

    /// TDX Connect must be there and the extensions initialised; EXT_REQUIRED of 0 says that they
    /// are, `[1]` V2 11/31. The status is `[I]`.
    pub(super) fn extensions(&self) -> Result<(), Status> {
        self.connect()?;
        if self.ext_ready || self.fields.ext_required() == Some(0) {
            Ok(())
        } else {
            Err(Status::CONNECT_INVALID_STATE)
        }
    }

    /// The session of an id. The status is `[1]` M20 for TDH.SPDM.DELETE, `[I]` for the others.
    pub(super) fn session(&self, id: u64, operand: Operand) -> Result<(usize, Session), Status> {
        table::find(self.pages.machine.sessions(), FIRST_ID, id)
            .ok_or(Status::SPDM_ENTRY_NOT_PRESENT.on(operand))
    }

    /// Puts a session in its slot, or [`None`] there.
    pub(super) fn set_session(&mut self, slot: usize, session: Option<Session>) {
        if let Some(to) = self.pages.machine.sessions_mut().get_mut(slot) {
            *to = session;
        }
    }

    /// Reads an operand that names as many pages as `field` says. Any other number is
    /// OPERAND_INVALID, `[I]`.
    pub(super) fn listed(
        &self,
        word: u64,
        field: Field,
        operand: Operand,
    ) -> Result<Listed, Status> {
        let wanted = self.fields.get(field);
        Listed::parse(word, self.late)
            // CAST: At most 512.
            .filter(|listed| Some(listed.entries as u64) == wanted)
            .ok_or(Status::OPERAND_INVALID.on(operand))
    }

    /// Checks the aux operand of a DELETE: 0 for a single page, else a page that may be written to.
    /// `[1]` V2
    pub(super) fn aux(
        &mut self,
        word: u64,
        entries: usize,
        operand: Operand,
    ) -> Result<Aux, Status> {
        if self.late {
            return Ok(Aux::Nowhere);
        }
        match (entries, word) {
            (0 | 1, 0) => Ok(Aux::InPlace),
            // No page either: a list would be written to the first page of memory.
            (0 | 1, _) | (_, 0) => Err(Status::OPERAND_INVALID.on(operand)),
            _ => Ok(Aux::Page(self.pages.shared(word, operand)?)),
        }
    }

    /// Lets go of the pages of a session or a stream and says which, in RCX and in the aux page.
    pub(super) fn give_back(
        &mut self,
        place: Place,
        entries: usize,
        aux: Aux,
        operand: Operand,
        regs: &mut Regs,
    ) -> Result<(), Status> {
        let lie = self.faults.released();
        let back = match aux {
            Aux::Nowhere => None,
            Aux::InPlace => {
                let page = lie.word(0, 1, |index| self.pages.listed(place, index));
                Some(lie.array(1, Hpa::from_bits(page)))
            }
            Aux::Page(page) => {
                let pages = &mut self.pages;
                pages.write_list(page, place, entries, lie, operand)?;
                Some(lie.array(entries, page))
            }
        };
        let keep = self.faults.keep();
        self.pages.release_list(place, entries, keep);
        regs.rcx = back.unwrap_or(regs.rcx);
        Ok(())
    }

    /// TDH.SPDM.CREATE. In: RCX function id, RDX HPA_ARRAY_T, in the late profile HPA_LIST_INFO.
    /// Out: RCX session id. `[1]`; the order of checks is `[I]`.
    pub(super) fn spdm_create(&mut self, regs: &mut Regs) -> Result<(), Status> {
        const RDX: Operand = Operand::Rdx;
        const BAD_RCX: Status = Status::OPERAND_INVALID.on(Operand::Rcx);

        let (leaf, operands) = (Leaf::SPDM_CREATE, regs.operands(2));
        self.extensions()?;
        self.resume.check(leaf, operands, &mut self.pages.bugs)?;
        let function = FunctionId::from_raw(regs.rcx);
        if !function.is_well_formed() {
            return Err(BAD_RCX);
        }
        let function = function.canonical();
        let listed = self.listed(regs.rdx, Field::SPDM_MT_PAGE_COUNT, RDX)?;
        let machine = &self.pages.machine;
        let mut sessions = machine.sessions().iter().flatten();
        if sessions.any(|session| session.function == function) {
            return Err(Status::SPDM_ENTRY_ALREADY_PRESENT);
        }
        // Which IOMMU is the function's is not known here: any one will do. `[I]`
        let iommu = self.iommus.first().ok_or(Status::IOMMU_INVALID_STATE)?;
        // One session more than there is room for is with a function that is not known. `[I]`
        let limit = SESSIONS.min(machine.object_lists().len());
        let slot = table::free(machine.sessions())
            .filter(|slot| *slot < limit)
            .ok_or(BAD_RCX)?;

        let place = Place::Object(slot);
        let list = self.pages.read_listed(listed, place, RDX)?;
        let times = self.faults.times(leaf);
        let bugs = &mut self.pages.bugs;
        self.resume
            .step(leaf, operands, [list, NO_LIST], times, bugs)?;

        let id = table::id(FIRST_ID, slot);
        self.pages.take_list(place, listed.entries, id);
        self.set_session(slot, Some(Session::new(function, iommu, listed.entries)));
        regs.rcx = u64::from(id);
        Ok(())
    }

    /// TDH.SPDM.DELETE. In: RCX session id; in the v2 profile RDX aux operand. Out, in the v2
    /// profile: RCX HPA_ARRAY_T. `[1]`; the order of checks and that a connected session stays are
    /// `[I]`.
    ///
    /// What is said to the device and not answered ends with the session, so that a dead device
    /// does not keep the slot of the extension SEAMCALLs. `[I]`
    pub(super) fn spdm_delete(&mut self, regs: &mut Regs) -> Result<(), Status> {
        const RDX: Operand = Operand::Rdx;

        let leaf = Leaf::SPDM_DELETE;
        // The late profile has no operand in RDX, so it may hold anything.
        let operands = regs.operands(if self.late { 1 } else { 2 });
        self.extensions()?;
        self.resume.check(leaf, operands, &mut self.pages.bugs)?;
        let (slot, session) = self.session(regs.rcx, Operand::Rcx)?;
        let mut streams = self.pages.machine.streams().iter().flatten();
        if streams.any(|stream| stream.session == slot) {
            return Err(Status::SPDM_HAS_ACTIVE_IDE_STREAMS);
        }
        if session.connected {
            return Err(Status::SPDM_INVALID_STATE);
        }
        let aux = self.aux(regs.rdx, session.pages, RDX)?;
        let times = self.faults.times(leaf);
        let bugs = &mut self.pages.bugs;
        self.resume
            .step(leaf, operands, [NO_LIST; 2], times, bugs)?;

        self.give_back(Place::Object(slot), session.pages, aux, RDX, regs)?;
        self.set_session(slot, None);
        if let Some(spoke) = self.ext_slot.forget(u64::from(table::id(FIRST_ID, slot))) {
            self.resume.end(spoke);
        }
        Ok(())
    }
}

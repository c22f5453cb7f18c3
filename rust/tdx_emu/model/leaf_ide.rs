// SPDX-License-Identifier: GPL-2.0

//! Leaves that make, block and end an IDE stream.

use super::{
    ide::{
        list_of,
        Stream,
        FIRST_ID,
        STREAMS, //
    },
    lists::Place,
    machine::Machine,
    regs::Regs,
    resume::NO_LIST,
    spdm::SESSIONS,
    table,
    Model, //
};
use crate::abi::{
    field::Field,
    ide::{
        StreamControl,
        StreamInfo, //
    },
    ide_range::{
        AddressRange,
        BadRegister,
        RidRange, //
    },
    status::Operand,
    Leaf,
    Status, //
};

/// OPERAND_INVALID on one of the registers of an image, the first of which is `first`.
fn bad_image(registers: [Operand; 3], wrong: BadRegister) -> Status {
    let [one, two, three] = registers;
    Status::OPERAND_INVALID.on(match wrong {
        BadRegister(1) => one,
        BadRegister(2) => two,
        BadRegister(_) => three,
    })
}

impl<M: Machine> Model<M> {
    /// The stream of an id, which must be one of the session in this slot. `[1]` M20
    pub(super) fn stream(&self, session: usize, id: u64) -> Result<(usize, Stream), Status> {
        table::find(self.pages.machine.streams(), FIRST_ID, id)
            .filter(|(_, stream)| stream.session == session)
            .ok_or(Status::IDE_STREAM_NOT_CONFIGURED)
    }

    /// Puts a stream in its slot, or [`None`] there.
    pub(super) fn set_stream(&mut self, slot: usize, stream: Option<Stream>) {
        if let Some(to) = self.pages.machine.streams_mut().get_mut(slot) {
            *to = stream;
        }
    }

    /// TDH.IDE.STREAM.CREATE. In: RCX stream info, RDX session id, R8 HPA_ARRAY_T, in the late
    /// profile HPA_LIST_INFO `[I]`; R9 control register, R10 and R11 RID association registers, R12
    /// to R14 address association registers. Out: RCX stream id, RDX IDE id. `[1]`; order of checks
    /// as in M20.
    pub(super) fn ide_stream_create(&mut self, regs: &mut Regs) -> Result<(), Status> {
        const R8: Operand = Operand::R8;

        let (leaf, operands) = (Leaf::IDE_STREAM_CREATE, regs.operands(9));
        self.extensions()?;
        self.resume.check(leaf, operands, &mut self.pages.bugs)?;
        let (session, connected) = self
            .session(regs.rdx, Operand::Rdx)
            .map(|(slot, session)| (slot, session.connected))?;
        if !connected {
            return Err(Status::SPDM_INVALID_STATE);
        }
        let info = StreamInfo::from_raw(regs.rcx);
        if info.has_reserved_bits() {
            return Err(Status::OPERAND_INVALID.on(Operand::Rcx));
        }
        if !info.is_selective() {
            // Link IDE can be asked for; that it is not supported is `[I]`.
            return Err(Status::IDE_STREAM_NOT_SUPPORTED);
        }
        StreamControl::from_raw(regs.r9).ok_or(Status::OPERAND_INVALID.on(Operand::R9))?;
        let rids = RidRange::parse([regs.r10, regs.r11])
            .map_err(|wrong| bad_image([Operand::R10, Operand::R11, Operand::R11], wrong))?;
        let addresses = AddressRange::parse([regs.r12, regs.r13, regs.r14])
            .map_err(|wrong| bad_image([Operand::R12, Operand::R13, Operand::R14], wrong))?;
        self.overlaps(session, rids, addresses)?;
        let listed = self.listed(regs.r8, Field::IDE_MT_PAGE_COUNT, R8)?;
        // That there is no room is told with this status is `[I]`.
        let machine = &self.pages.machine;
        let limit = STREAMS.min(machine.object_lists().len().saturating_sub(SESSIONS));
        let slot = table::free(machine.streams())
            .filter(|slot| *slot < limit)
            .ok_or(Status::IDE_STREAM_NOT_FREE)?;

        let place = Place::Object(list_of(slot));
        let list = self.pages.read_listed(listed, place, R8)?;
        let times = self.faults.times(leaf);
        let bugs = &mut self.pages.bugs;
        self.resume
            .step(leaf, operands, [list, NO_LIST], times, bugs)?;

        let id = table::id(FIRST_ID, slot);
        self.pages.take_list(place, listed.entries, id);
        let stream = Stream {
            session,
            rids,
            addresses,
            pages: listed.entries,
            blocked: false,
            keys: false,
            exchange: None,
        };
        self.set_stream(slot, Some(stream));
        regs.rcx = u64::from(id);
        // Another number than the stream id, in the eight bits of the register's field. `[I]`
        // CAST: A slot is below 256.
        regs.rdx = 0xff ^ slot as u64;
        Ok(())
    }

    /// No other stream may carry the same addresses or requester ids. `[1]` M20, where it is asked
    /// of the root port. That is not known here but for its device and function, so addresses are
    /// compared within a session and requester ids, which are a device's own, with those of all.
    /// `[I]`
    fn overlaps(
        &self,
        session: usize,
        rids: RidRange,
        addresses: AddressRange,
    ) -> Result<(), Status> {
        for stream in self.pages.machine.streams().iter().flatten() {
            if stream.session == session && stream.addresses.overlaps(addresses) {
                return Err(Status::IDE_STREAM_ADDR_OVERLAP);
            }
        }
        for stream in self.pages.machine.streams().iter().flatten() {
            if stream.rids.overlaps(rids) {
                return Err(Status::IDE_STREAM_RID_OVERLAP);
            }
        }
        Ok(())
    }

    /// TDH.IDE.STREAM.BLOCK. In: RCX session id, RDX stream id. `[1]`; checks as in M20.
    pub(super) fn ide_stream_block(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let (leaf, operands) = (Leaf::IDE_STREAM_BLOCK, regs.operands(2));
        self.extensions()?;
        self.resume.check(leaf, operands, &mut self.pages.bugs)?;
        let (session, _) = self.session(regs.rcx, Operand::Rcx)?;
        let (slot, stream) = self.stream(session, regs.rdx)?;
        if stream.blocked {
            return Err(Status::IDE_STREAM_BLOCKED);
        }
        let times = self.faults.times(leaf);
        let bugs = &mut self.pages.bugs;
        self.resume
            .step(leaf, operands, [NO_LIST; 2], times, bugs)?;
        let blocked = Stream {
            blocked: true,
            ..stream
        };
        self.set_stream(slot, Some(blocked));
        Ok(())
    }

    /// TDH.IDE.STREAM.DELETE. In: RCX session id, RDX stream id; in the v2 profile R8 aux operand.
    /// Out, in the v2 profile: RCX HPA_ARRAY_T. `[1]`; checks as in M20, but for device interfaces,
    /// which this one does not have.
    pub(super) fn ide_stream_delete(&mut self, regs: &mut Regs) -> Result<(), Status> {
        const R8: Operand = Operand::R8;

        let leaf = Leaf::IDE_STREAM_DELETE;
        // That the late profile has no operand in R8 is `[I]`.
        let operands = regs.operands(if self.late { 2 } else { 3 });
        self.extensions()?;
        self.resume.check(leaf, operands, &mut self.pages.bugs)?;
        let (session, connected) = self
            .session(regs.rcx, Operand::Rcx)
            .map(|(slot, session)| (slot, session.connected))?;
        let (slot, stream) = self.stream(session, regs.rdx)?;
        if !stream.blocked {
            return Err(Status::IDE_STREAM_NOT_BLOCKED);
        }
        if !connected {
            return Err(Status::SPDM_INVALID_STATE);
        }
        let aux = self.aux(regs.r8, stream.pages, R8)?;
        let times = self.faults.times(leaf);
        let bugs = &mut self.pages.bugs;
        self.resume
            .step(leaf, operands, [NO_LIST; 2], times, bugs)?;

        let place = Place::Object(list_of(slot));
        self.give_back(place, stream.pages, aux, R8, regs)?;
        self.set_stream(slot, None);
        if stream.exchange.is_some() {
            self.resume.end(Leaf::IDE_STREAM_KM);
        }
        Ok(())
    }
}

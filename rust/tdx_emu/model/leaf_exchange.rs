// SPDX-License-Identifier: GPL-2.0

//! Leaves that speak with a device: the extension SEAMCALLs.

use super::{
    bugs::Bug,
    exchange::Exchange,
    machine::Machine,
    regs::Regs,
    resume::{
        ListSum,
        NO_LIST, //
    },
    spdm::Session,
    talk::Talk,
    Model, //
};
use crate::abi::{
    emu_device::device_info,
    list::HpaArray,
    spdm::{
        Management,
        NO_PAGE, //
    },
    status::Operand,
    Hpa,
    Leaf,
    Status,
    PAGE_SIZE,
    ROOT_ENTRIES, //
};

impl<M: Machine> Model<M> {
    /// TDH.SPDM.CONNECT. In: RCX session id, RDX configuration page, R8 response page, R9 request
    /// page, R10 HPA_ARRAY_T of the pages for the device info. Out: RCX bytes. `[1]`; the order of
    /// checks is `[I]`.
    pub(super) fn spdm_connect(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let call = Exchange::new(Leaf::SPDM_CONNECT, regs.rcx, 0, regs.operands(5));
        let mut exchange = self.enter(call, false)?;
        let (slot, session) = self.session(regs.rcx, Operand::Rcx)?;
        self.pages.shared(regs.rdx, Operand::Rdx)?;
        let response = self.pages.shared(regs.r8, Operand::R8)?;
        let request = self.pages.shared(regs.r9, Operand::R9)?;
        let (pages, sum) = self.output(regs.r10, Operand::R10)?;
        if session.connected {
            return Err(Status::SPDM_INVALID_STATE);
        }
        let talk = Talk {
            session: slot,
            response,
            request,
            request_in: Operand::R9,
            pages: sum,
            refusal: Status::SDPM_INVALID_MESSAGE,
            is_key_update: false,
        };
        self.exchange(&mut exchange, talk, regs)?;
        self.set_session(slot, Some(session.rekeyed(true)));
        regs.rcx = self.write_device_info(pages, exchange.id);
        Ok(())
    }

    /// TDH.SPDM.DISCONNECT. In: RCX session id, RDX response page, R8 request page. Out: RCX bytes
    /// of the request. `[1]`; the order of checks is `[I]`. Streams do not hold it back, but have
    /// to wait for the next connection to be deleted, `[I]`.
    pub(super) fn spdm_disconnect(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let call = Exchange::new(Leaf::SPDM_DISCONNECT, regs.rcx, 0, regs.operands(3));
        let mut exchange = self.enter(call, false)?;
        let (slot, session) = self.session(regs.rcx, Operand::Rcx)?;
        let response = self.pages.shared(regs.rdx, Operand::Rdx)?;
        let request = self.pages.shared(regs.r8, Operand::R8)?;
        if !session.connected {
            return Err(Status::SPDM_INVALID_STATE);
        }
        let talk = Talk {
            session: slot,
            response,
            request,
            request_in: Operand::R8,
            pages: NO_LIST,
            refusal: Status::SDPM_INVALID_MESSAGE,
            is_key_update: false,
        };
        self.exchange(&mut exchange, talk, regs)?;
        self.set_session(slot, Some(session.rekeyed(false)));
        regs.rcx = 0;
        Ok(())
    }

    /// TDH.SPDM.MNG. In: RCX session id, RDX operation, R8 parameter page or all ones, R9 response
    /// page, R10 request page, R11 HPA_ARRAY_T of the pages for the device info or all ones. Out:
    /// RCX bytes. `[1]`; the order of checks is `[I]`.
    ///
    /// The device info is written for its own operation only, which wants R11. A key that is worn
    /// may be updated whatever state the session is in. `[I]`
    pub(super) fn spdm_mng(&mut self, regs: &mut Regs) -> Result<(), Status> {
        const BAD_R11: Status = Status::OPERAND_INVALID.on(Operand::R11);

        let call = Exchange::new(Leaf::SPDM_MNG, regs.rcx, regs.rdx, regs.operands(6));
        let is_update = Management::from_raw(regs.rdx) == Some(Management::KeyUpdate);
        let worn = matches!(self.session(regs.rcx, Operand::Rcx), Ok((_, s)) if s.worn);
        let mut exchange = self.enter(call, is_update && worn)?;
        let (slot, session) = self.session(regs.rcx, Operand::Rcx)?;
        let operation =
            Management::from_raw(regs.rdx).ok_or(Status::OPERAND_INVALID.on(Operand::Rdx))?;
        if regs.r8 != NO_PAGE {
            self.pages.shared(regs.r8, Operand::R8)?;
        }
        let response = self.pages.shared(regs.r9, Operand::R9)?;
        let request = self.pages.shared(regs.r10, Operand::R10)?;
        let pages = if regs.r11 == NO_PAGE {
            None
        } else {
            Some(self.output(regs.r11, Operand::R11)?)
        };
        if pages.is_none() && operation == Management::DeviceInfo {
            return Err(BAD_R11);
        }
        if !(session.connected || is_update && worn) {
            return Err(Status::SPDM_INVALID_STATE);
        }
        let talk = Talk {
            session: slot,
            response,
            request,
            request_in: Operand::R10,
            pages: pages.map_or(NO_LIST, |(_, sum)| sum),
            refusal: Status::SDPM_INVALID_MESSAGE,
            is_key_update: is_update,
        };
        self.exchange(&mut exchange, talk, regs)?;
        regs.rcx = match (operation, pages) {
            (Management::DeviceInfo, Some((pages, _))) => {
                self.write_device_info(pages, exchange.id)
            }
            (Management::KeyUpdate, _) => {
                self.rekey(slot, session);
                0
            }
            _ => 0,
        };
        Ok(())
    }

    fn rekey(&mut self, slot: usize, session: Session) {
        self.set_session(slot, Some(session.rekeyed(session.connected)));
    }

    /// The first checks of an extension SEAMCALL: its turn, then its operands, if it goes on.
    fn enter(&mut self, call: Exchange, is_awaited_update: bool) -> Result<Exchange, Status> {
        self.extensions()?;
        let bugs = &mut self.pages.bugs;
        let exchange = self.ext_slot.enter(call, is_awaited_update, bugs)?;
        self.resume.check(call.leaf, call.operands, bugs)?;
        Ok(exchange)
    }

    /// Goes on with an exchange that was let in, and keeps the slot for it until it is complete.
    fn exchange(
        &mut self,
        exchange: &mut Exchange,
        talk: Talk,
        regs: &mut Regs,
    ) -> Result<(), Status> {
        let result = self.talk(exchange, talk, regs);
        match result {
            Ok(()) => self.ext_slot.end(exchange),
            Err(_) => self.ext_slot.hold(*exchange),
        }
        result
    }

    /// Checks the operand that names pages to be written to: shared pages, all of them. Gives the
    /// checksum of its list, too.
    fn output(&mut self, word: u64, operand: Operand) -> Result<(HpaArray, ListSum), Status> {
        let array = HpaArray::from_raw(word);
        if array.has_reserved_bits() {
            return Err(Status::OPERAND_INVALID.on(operand));
        }
        let first = self.pages.shared(array.page().get(), operand)?;
        if array.entries() == 1 {
            return Ok((array, NO_LIST));
        }
        let mut sum = 0u64;
        for index in 0..array.entries() {
            let word = self.pages.machine.read(first, index);
            let word = word.ok_or(Status::OPERAND_INVALID.on(operand))?;
            let page = self.pages.shared(word, operand)?;
            if page == first {
                // CAST: An index below 512.
                let bugs = &mut self.pages.bugs;
                bugs.record(Bug::ListListsItself, page, index as u64);
                return Err(Status::OPERAND_INVALID.on(operand));
            }
            sum = sum.rotate_left(7) ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        Ok((array, (sum, first.get())))
    }

    /// Writes the device info of a session to pages that were checked, as much as fits; gives what
    /// is said of its length.
    fn write_device_info(&mut self, pages: HpaArray, session: u64) -> u64 {
        // CAST: At most 512 pages.
        let room = (pages.entries() as u64).saturating_mul(PAGE_SIZE);
        let bytes = self.manners.device_info.min(room);
        let mut left = bytes;
        for index in 0..pages.entries() {
            let page = if pages.entries() == 1 {
                Some(pages.page())
            } else {
                self.pages
                    .machine
                    .read(pages.page(), index)
                    .and_then(Hpa::new)
            };
            let Some(page) = page else {
                break;
            };
            for at in 0..ROOT_ENTRIES {
                if left == 0 {
                    break;
                }
                // Behind the end of the last word there is nothing of it.
                let mask = match left {
                    1..8 => !(u64::MAX << (left.saturating_mul(8) & 63)),
                    _ => u64::MAX,
                };
                let place = index.saturating_mul(ROOT_ENTRIES).saturating_add(at);
                let word = device_info(session, place) & mask;
                self.pages.machine.write(page, at, word);
                left = left.saturating_sub(8);
            }
        }
        self.manners.told.unwrap_or(bytes)
    }
}

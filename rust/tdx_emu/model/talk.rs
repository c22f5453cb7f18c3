// SPDX-License-Identifier: GPL-2.0

//! One call of an exchange: the response that came, and the next request.

use super::{
    exchange::Exchange,
    ide,
    machine::Machine,
    regs::Regs,
    resume::{
        ListSum,
        NO_LIST, //
    },
    table,
    Model, //
};
use crate::abi::{
    emu_device::Message,
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};

/// How exchanges go; a test may set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manners {
    /// Requests and responses of an exchange.
    pub(crate) rounds: u64,
    /// Bytes of device info.
    pub(crate) device_info: u64,
    /// What is said of that, if not the truth.
    pub(crate) told: Option<u64>,
    /// Requests under one key of a session, 0 for any number.
    pub(crate) key_lasts: u64,
}

impl Manners {
    /// Unless told otherwise. All of it is `[I]`.
    pub(crate) const USUAL: Self = Self {
        rounds: 3,
        device_info: 5000,
        told: None,
        key_lasts: 0,
    };
}

/// What a call of an exchange needs beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    /// The slot of the session.
    pub(crate) session: usize,
    /// The page with the device's response.
    pub(crate) response: Hpa,
    /// The page for the next request.
    pub(crate) request: Hpa,
    /// The register that names it.
    pub(crate) request_in: Operand,
    /// The list of pages for the device info: its checksum, and where it is.
    pub(crate) pages: ListSum,
    /// The answer to a response that is not the one that is wanted.
    pub(crate) refusal: Status,
    /// Whether this is the update of the session's key, which wears no key out.
    pub(crate) is_key_update: bool,
}

impl<M: Machine> Model<M> {
    /// Goes on with `exchange`: [`Ok`] when it is complete.
    ///
    /// TDX_SPDM_REQUEST, with the bytes of the request in RCX, wants another call, `[1]` V2. The
    /// first call reads no response. A response that is not accepted leaves everything as it is.
    /// The key's end is told between a response and the next request, and when it was updated the
    /// same call goes on from there, `[I]`.
    pub(super) fn talk(
        &mut self,
        exchange: &mut Exchange,
        talk: Talk,
        regs: &mut Regs,
    ) -> Result<(), Status> {
        let leaf = exchange.leaf;
        let message = exchange.message();
        let response = if exchange.awaiting {
            (self.sum(talk.response, message), talk.response.get())
        } else {
            NO_LIST
        };
        let lists = [response, talk.pages];
        let times = self.faults.times(leaf);
        let bugs = &mut self.pages.bugs;
        self.resume
            .step(leaf, exchange.operands, lists, times, bugs)?;
        if exchange.awaiting {
            if !self.is_response(talk.response, message) {
                return Err(talk.refusal);
            }
            exchange.step = exchange.step.saturating_add(1);
            exchange.awaiting = false;
        }
        if exchange.step >= self.manners.rounds {
            return Ok(());
        }
        if !talk.is_key_update && !self.may_send(talk.session) {
            return Err(Status::SPDM_SESSION_KEY_REQUIRE_REFRESH);
        }
        let message = exchange.message();
        for index in 0..message.words() {
            let word = message.request(index);
            if !self.pages.machine.write(talk.request, index, word) {
                return Err(Status::OPERAND_INVALID.on(talk.request_in));
            }
        }
        exchange.awaiting = true;
        regs.rcx = message.bytes();
        Err(Status::SPDM_REQUEST)
    }

    /// Whether the page holds the response to a message: a whole object with its header.
    fn is_response(&self, page: Hpa, message: Message) -> bool {
        (0..message.words()).all(|index| {
            let word = self.pages.machine.read(page, index);
            word.map(|word| word & message.mask(index)) == Some(message.response(index))
        })
    }

    /// A checksum of as much of a page as the response to a message has.
    fn sum(&self, page: Hpa, message: Message) -> u64 {
        (0..message.words()).fold(0u64, |sum, index| {
            let word = self.pages.machine.read(page, index).unwrap_or(0) & message.mask(index);
            sum.rotate_left(7) ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    fn may_send(&mut self, session: usize) -> bool {
        let limit = self.manners.key_lasts;
        let sessions = self.pages.machine.sessions_mut();
        match sessions.get_mut(session) {
            Some(Some(session)) => session.may_send(limit),
            _ => true,
        }
    }

    /// A fault is an end for what is said to a device, too, unless the answer says that it goes on,
    /// or that this call was wrong. `[I]`
    pub(super) fn break_off(&mut self, leaf: Leaf, (rcx, rdx): (u64, u64), status: Status) {
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
}

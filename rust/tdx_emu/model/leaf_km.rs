// SPDX-License-Identifier: GPL-2.0

//! The leaf that manages the keys of an IDE stream.

use super::{
    exchange::Exchange,
    ide::Stream,
    machine::Machine,
    regs::Regs,
    resume::NO_LIST,
    talk::Talk,
    Model, //
};
use crate::abi::{
    ide::KeyManagement,
    status::Operand,
    Leaf,
    Status, //
};

impl<M: Machine> Model<M> {
    /// TDH.IDE.STREAM.KM. In: RCX session id, RDX stream id, R8 operation, R9 response page, R10
    /// request page. Out: RCX bytes of the request. `[1]`; the order of checks is `[I]`.
    ///
    /// It is no extension SEAMCALL, so the slot may be another's, `[1]` V2 30/31. A blocked stream
    /// may still be stopped.
    pub(super) fn ide_stream_km(&mut self, regs: &mut Regs) -> Result<(), Status> {
        let (leaf, operands) = (Leaf::IDE_STREAM_KM, regs.operands(5));
        self.extensions()?;
        self.resume.check(leaf, operands, &mut self.pages.bugs)?;
        let (session_slot, session) = self.session(regs.rcx, Operand::Rcx)?;
        let (slot, stream) = self.stream(session_slot, regs.rdx)?;
        let operation = KeyManagement::from_raw(regs.r8);
        if stream.blocked && matches!(regs.r8, 0 | 1) {
            return Err(Status::IDE_STREAM_BLOCKED);
        }
        let operation = operation.ok_or(Status::OPERAND_INVALID.on(Operand::R8))?;
        let response = self.pages.shared(regs.r9, Operand::R9)?;
        let request = self.pages.shared(regs.r10, Operand::R10)?;
        if !session.connected {
            return Err(Status::SPDM_INVALID_STATE);
        }
        let call = Exchange::new(leaf, regs.rdx, regs.r8, operands);
        let mut exchange = self.outstanding(stream, operation, call)?;
        let talk = Talk {
            session: session_slot,
            response,
            request,
            request_in: Operand::R10,
            pages: NO_LIST,
            refusal: Status::IDE_STREAM_INVALID_RESPONSE,
            is_key_update: false,
        };
        let result = self.talk(&mut exchange, talk, regs);
        let stream = match result {
            Ok(()) => Stream {
                keys: operation != KeyManagement::Stop,
                exchange: None,
                ..stream
            },
            Err(_) => Stream {
                exchange: Some(exchange),
                ..stream
            },
        };
        self.set_stream(slot, Some(stream));
        result?;
        regs.rcx = 0;
        Ok(())
    }

    /// The exchange that a call belongs to. Another operation has to wait for the end of the one
    /// before, `[1]` M20; keys are set up once, and are refreshed and stopped when they are there,
    /// `[I]`.
    fn outstanding(
        &mut self,
        stream: Stream,
        operation: KeyManagement,
        call: Exchange,
    ) -> Result<Exchange, Status> {
        match stream.exchange {
            Some(exchange) if exchange.operation == call.operation => {
                exchange.resumed(&call, &mut self.pages.bugs)
            }
            Some(_) => Err(Status::IDE_STREAM_IDEKM_OUTREQ),
            None if operation == KeyManagement::SetUp && stream.keys => {
                Err(Status::IDE_STREAM_INVALID_STATE)
            }
            None if operation != KeyManagement::SetUp && !stream.keys => {
                Err(Status::IDE_STREAM_KEYS_NOT_READY)
            }
            None => Ok(call),
        }
    }
}

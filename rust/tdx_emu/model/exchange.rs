// SPDX-License-Identifier: GPL-2.0

//! Exchanges with a device: requests and responses, carried by the host.

use super::{
    bugs::{
        Bug,
        Bugs, //
    },
    regs::Operands, //
};
use crate::abi::{
    emu_device::Message,
    Leaf,
    Status, //
};

/// An exchange that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// The leaf that it is made with.
    pub(crate) leaf: Leaf,
    /// The session, or the stream for TDH.IDE.STREAM.KM.
    pub(crate) id: u64,
    /// What the leaf is asked to do, 0 where it does one thing only.
    pub(crate) operation: u64,
    /// The operands of the first call. It must be called again with the same. `[1]` V2
    pub(crate) operands: Operands,
    /// Responses that were accepted.
    pub(crate) step: u64,
    /// Whether a request was given and its response was not accepted yet.
    pub(crate) awaiting: bool,
}

impl Exchange {
    /// One that begins.
    pub(crate) const fn new(leaf: Leaf, id: u64, operation: u64, operands: Operands) -> Self {
        Self {
            leaf,
            id,
            operation,
            operands,
            step: 0,
            awaiting: false,
        }
    }

    /// The message of this step.
    pub(crate) const fn message(&self) -> Message {
        Message {
            id: self.id,
            leaf: self.leaf,
            operation: self.operation,
            step: self.step,
        }
    }

    fn is(&self, other: &Self) -> bool {
        (self.leaf, self.id, self.operation) == (other.leaf, other.id, other.operation)
    }

    /// This one, gone on with by a call that would begin `call`. Other operands are the host's
    /// mistake; INVALID_RESUMPTION is `[I]`.
    pub(crate) fn resumed(self, call: &Self, bugs: &mut Bugs) -> Result<Self, Status> {
        if self.operands == call.operands {
            return Ok(self);
        }
        bugs.record_raw(Bug::OtherOperands, call.id, call.leaf.number());
        Err(Status::INVALID_RESUMPTION)
    }
}

/// The one slot of the extension SEAMCALLs: TDH.SPDM.CONNECT, DISCONNECT and MNG are entries of a
/// queue of depth one. `[1]` V2 27/31
#[derive(Clone, Debug, Default)]
pub(crate) struct ExtSlot {
    running: Option<Exchange>,
    /// What waits for a key update that has the slot now. `[I]`
    waiting: Option<Exchange>,
}

impl ExtSlot {
    /// Nobody has it.
    pub(crate) const FREE: Self = Self {
        running: None,
        waiting: None,
    };

    /// The exchange that a call belongs to, where `call` would begin it: OPERAND_BUSY while another
    /// one has the slot, `[1]`. One that has to wait for a key update lets just that one pass,
    /// `[I]`.
    pub(crate) fn enter(
        &self,
        call: Exchange,
        is_awaited_update: bool,
        bugs: &mut Bugs,
    ) -> Result<Exchange, Status> {
        match self.running {
            None => Ok(call),
            Some(running) if running.is(&call) => running.resumed(&call, bugs),
            Some(running)
                if is_awaited_update
                    && running.id == call.id
                    && !running.awaiting
                    && self.waiting.is_none() =>
            {
                Ok(call)
            }
            Some(_) => Err(Status::OPERAND_BUSY),
        }
    }

    /// `exchange`, which was let in by [`Self::enter`], has the slot.
    pub(crate) fn hold(&mut self, exchange: Exchange) {
        if let Some(running) = self.running.filter(|running| !running.is(&exchange)) {
            self.waiting = Some(running);
        }
        self.running = Some(exchange);
    }

    /// `exchange`, which was let in by [`Self::enter`], is over.
    pub(crate) fn end(&mut self, exchange: &Exchange) {
        match self.running {
            Some(running) if running.is(exchange) => self.running = self.waiting.take(),
            // It needed no second call, so that another one may still have the slot.
            _ => {}
        }
    }

    /// Nobody speaks for the session `id` any more; gives the leaf that did.
    pub(crate) fn forget(&mut self, id: u64) -> Option<Leaf> {
        let running = self.running.filter(|running| running.id == id)?;
        // What waits is of the same session.
        *self = Self::FREE;
        Some(running.leaf)
    }

    /// The exchange that has the slot.
    pub(crate) fn running(&self) -> Option<Exchange> {
        self.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: Exchange = Exchange::new(Leaf::SPDM_CONNECT, 0x240, 0, [1; 9]);
    const UPDATE: Exchange = Exchange::new(Leaf::SPDM_MNG, 0x240, 1, [2; 9]);

    #[test]
    fn one_at_a_time() {
        let (mut slot, mut bugs) = (ExtSlot::FREE, Bugs::default());
        assert_eq!(slot.enter(CONNECT, false, &mut bugs), Ok(CONNECT));
        let step = Exchange { step: 2, ..CONNECT };
        slot.hold(step);
        assert_eq!(slot.enter(CONNECT, false, &mut bugs), Ok(step));
        for other in [
            UPDATE,
            Exchange {
                id: 0x241,
                ..CONNECT
            },
            Exchange {
                operation: 1,
                ..CONNECT
            },
        ] {
            assert_eq!(
                slot.enter(other, false, &mut bugs),
                Err(Status::OPERAND_BUSY)
            );
        }
        assert_eq!(bugs.total(), 0);
        let other = Exchange {
            operands: [9; 9],
            ..CONNECT
        };
        let entered = slot.enter(other, false, &mut bugs);
        assert_eq!(entered, Err(Status::INVALID_RESUMPTION));
        assert_eq!(bugs.count(Bug::OtherOperands), 1);
        slot.end(&UPDATE);
        assert_eq!(slot.running(), Some(step));
        slot.end(&CONNECT);
        assert_eq!(slot.running(), None);
    }

    #[test]
    fn a_key_update_passes_what_waits_for_it() {
        let (mut slot, mut bugs) = (ExtSlot::FREE, Bugs::default());
        slot.hold(CONNECT);
        assert_eq!(slot.enter(UPDATE, true, &mut bugs), Ok(UPDATE));
        slot.hold(UPDATE);
        assert_eq!(
            slot.enter(CONNECT, true, &mut bugs),
            Err(Status::OPERAND_BUSY)
        );
        slot.end(&UPDATE);
        assert_eq!(slot.running(), Some(CONNECT));
        // Not while a response is awaited, and not for another session.
        slot.hold(Exchange {
            awaiting: true,
            ..CONNECT
        });
        assert_eq!(
            slot.enter(UPDATE, true, &mut bugs),
            Err(Status::OPERAND_BUSY)
        );
        slot.hold(CONNECT);
        let other = Exchange {
            id: 0x241,
            ..UPDATE
        };
        assert_eq!(
            slot.enter(other, true, &mut bugs),
            Err(Status::OPERAND_BUSY)
        );
        slot.hold(UPDATE);
        assert_eq!(slot.forget(0x241), None);
        assert_eq!(slot.forget(0x240), Some(Leaf::SPDM_MNG));
        assert_eq!(slot.running(), None);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Leaves on IDE streams. None is an extension SEAMCALL.

use super::{
    call::{
        Call,
        StreamOperands, //
    },
    not_called,
    resumed::Control,
    spdm::Place,
    Seam, //
};
use crate::abi::{
    ide::KeyManagement,
    Status, //
};
use crate::custody::{
    lending::Shared,
    transitions::Answer, //
};
use crate::mm::Blocks;

impl Seam {
    /// TDH.IDE.STREAM.CREATE under a session, with its control pages. The stream's id, and its id at
    /// the root port, mean something after success only.
    pub(crate) fn ide_stream_create<'id>(
        &self,
        session: u64,
        operands: StreamOperands,
        pages: Control<'id, '_>,
    ) -> (Answer<'id>, u64, u64) {
        let Some(operand) = self.profile().create(&pages) else {
            return (not_called(), 0, 0);
        };
        let call = Call::IdeCreate {
            session,
            pages: operand,
            operands,
            aux: self.profile().delete(&pages),
        };
        let (answer, [id, ide_id], _pages) = self.call_listed(call, pages);
        (answer, id, ide_id)
    }

    /// TDH.IDE.STREAM.BLOCK: no traffic any more. Whether it succeeded, and the status.
    pub(crate) fn ide_stream_block(&self, session: u64, id: u64) -> (bool, Status) {
        let aux = None;
        self.call(Call::IdeBlock { session, id, aux })
    }

    /// TDH.IDE.STREAM.DELETE. In the v2 profile the list of its pages comes back, and is checked
    /// after success.
    pub(crate) fn ide_stream_delete<'id>(
        &self,
        session: u64,
        id: u64,
        pages: Control<'id, '_>,
    ) -> Answer<'id> {
        let aux = self.profile().delete(&pages);
        let call = Call::IdeDelete { session, id, aux };
        match self.call_listed(call, pages) {
            (answer, [word, _], Some(pages)) if answer.is_success() => {
                answer.with_list(self.profile().is_released(&pages, word))
            }
            (answer, ..) => answer,
        }
    }

    /// TDH.IDE.STREAM.KM: one step. The second value is the length in bytes of the request, after
    /// TDX_SPDM_REQUEST.
    pub(crate) fn ide_stream_km<'id>(
        &self,
        session: u64,
        id: u64,
        operation: KeyManagement,
        mailbox: Place,
        pages: Shared<'id, Blocks>,
    ) -> (Answer<'id>, u64) {
        let Some(mailbox) = mailbox.of(|n| pages.page(n)) else {
            return (not_called(), 0);
        };
        let call = Call::IdeKeys {
            session,
            id,
            operation,
            mailbox,
        };
        let (answer, [len, _]) = self.call_shared(call, pages, &mut None);
        (answer, len)
    }
}

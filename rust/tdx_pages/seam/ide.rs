// SPDX-License-Identifier: GPL-2.0

//! Leaves on IDE streams. None is an extension SEAMCALL.

use super::{
    call::{
        Call,
        StreamOperands, //
    },
    resumed::Control,
    spdm::Place,
    Seam,
    NOT_CALLED, //
};
use crate::abi::ide::KeyManagement;
use crate::custody::{
    listed::Recorded,
    transitions::Answer, //
};
use crate::mm::Blocks;

impl Seam {
    /// TDH.IDE.STREAM.CREATE under a session, with its control pages. The stream's id, and its id at
    /// the root port, mean something after success only.
    pub(crate) fn ide_stream_create(
        &self,
        session: u64,
        operands: StreamOperands,
        pages: Control<'_>,
    ) -> (Answer, u64, u64) {
        let Some(operand) = self.profile().create(&pages) else {
            return (NOT_CALLED, 0, 0);
        };
        let call = Call::IdeCreate {
            session,
            pages: operand,
            operands,
            aux: self.profile().delete(&pages),
        };
        let (answer, [id, ide_id], _pages) = self.call_listed(call, Some(pages));
        (answer, id, ide_id)
    }

    /// TDH.IDE.STREAM.BLOCK: no traffic any more.
    pub(crate) fn ide_stream_block(&self, session: u64, id: u64) -> Answer {
        let aux = None;
        self.call(Call::IdeBlock { session, id, aux }).0
    }

    /// TDH.IDE.STREAM.DELETE. In the v2 profile the list of its pages comes back, and is checked
    /// after success.
    pub(crate) fn ide_stream_delete(&self, session: u64, id: u64, pages: Control<'_>) -> Answer {
        let aux = self.profile().delete(&pages);
        let call = Call::IdeDelete { session, id, aux };
        match self.call_listed(call, Some(pages)) {
            (answer, [word, _], Some(pages)) if answer.is_success() => {
                answer.with_list(self.profile().is_released(&pages, word))
            }
            (answer, ..) => answer,
        }
    }

    /// TDH.IDE.STREAM.KM: one step. The second value is the length in bytes of the request, after
    /// TDX_SPDM_REQUEST.
    pub(crate) fn ide_stream_km(
        &self,
        session: u64,
        id: u64,
        operation: KeyManagement,
        mailbox: Place,
        pages: Recorded<'_, Blocks>,
    ) -> (Answer, u64) {
        let Some(mailbox) = mailbox.of(|n| pages.page(n)) else {
            return (NOT_CALLED, 0);
        };
        let (answer, [len, _]) = self.call(Call::IdeKeys {
            session,
            id,
            operation,
            mailbox,
        });
        (answer, len)
    }
}

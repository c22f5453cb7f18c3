// SPDX-License-Identifier: GPL-2.0

//! Leaves on SPDM sessions.
//!
//! CONNECT, DISCONNECT and MNG are extension SEAMCALLs: they borrow the one [`Slot`].

use super::{
    call::{
        Call,
        Mailbox, //
    },
    not_called,
    resumed::Control,
    slot::{
        Gate,
        Slot, //
    },
    Seam, //
};
use crate::abi::{
    function::FunctionId,
    spdm::{
        Management,
        NO_PAGE, //
    },
    Hpa, //
};
use crate::custody::{
    lending::{
        Shared,
        Told, //
    },
    transitions::Answer, //
};
use crate::mm::{
    root::Lasting,
    Blocks, //
};

impl Seam {
    /// TDH.SPDM.CREATE for a function, with its control pages. The session's id means something
    /// after success only.
    pub(crate) fn spdm_create<'id>(
        &self,
        function: FunctionId,
        pages: Control<'id, '_>,
    ) -> (Answer<'id>, u64) {
        let Some(operand) = self.profile().create(&pages) else {
            return (not_called(), 0);
        };
        let call = Call::SpdmCreate {
            function,
            pages: operand,
            aux: self.profile().delete(&pages),
        };
        let (answer, [id, _], _pages) = self.call_listed(call, pages);
        (answer, id)
    }

    /// TDH.SPDM.DELETE. In the v2 profile the list of its pages comes back, and is checked after
    /// success.
    pub(crate) fn spdm_delete<'id>(&self, id: u64, pages: Control<'id, '_>) -> Answer<'id> {
        let aux = self.profile().delete(&pages);
        match self.call_listed(Call::SpdmDelete { id, aux }, pages) {
            (answer, [word, _], Some(pages)) if answer.is_success() => {
                answer.with_list(self.profile().is_released(&pages, word))
            }
            (answer, ..) => answer,
        }
    }

    /// TDH.SPDM.CONNECT: one step. `pages` has the page `config` and those of the mailbox; `info`
    /// is the list of its pages for the device info, the same for all steps. The second value is the length in
    /// bytes of the request, after TDX_SPDM_REQUEST, or of the device info, after success.
    pub(crate) fn spdm_connect<'id, G: Gate>(
        &self,
        _slot: &mut Slot<'_, G>,
        id: u64,
        config: usize,
        mailbox: Place,
        pages: Shared<'id, Blocks>,
        info: &mut Option<Told<Lasting>>,
    ) -> (Answer<'id>, u64) {
        let operands = (
            pages.page(config),
            mailbox.of(|n| pages.page(n)),
            info.as_ref().and_then(|info| pages.array(info)),
        );
        let (Some(config), Some(mailbox), Some(array)) = operands else {
            return (not_called(), 0);
        };
        let call = Call::SpdmConnect {
            id,
            config,
            mailbox,
            info: array.raw(),
        };
        let (answer, [len, _]) = self.call_shared(call, pages, info);
        (answer, len)
    }

    /// TDH.SPDM.DISCONNECT: one step. The second value is the length in bytes of the request, after
    /// TDX_SPDM_REQUEST.
    pub(crate) fn spdm_disconnect<'id, G: Gate>(
        &self,
        _slot: &mut Slot<'_, G>,
        id: u64,
        mailbox: Place,
        pages: Shared<'id, Blocks>,
    ) -> (Answer<'id>, u64) {
        let Some(mailbox) = mailbox.of(|n| pages.page(n)) else {
            return (not_called(), 0);
        };
        let (answer, [len, _]) =
            self.call_shared(Call::SpdmDisconnect { id, mailbox }, pages, &mut None);
        (answer, len)
    }

    /// TDH.SPDM.MNG, heartbeat or key update: one step. As for DISCONNECT.
    pub(crate) fn spdm_manage<'id, G: Gate>(
        &self,
        _slot: &mut Slot<'_, G>,
        id: u64,
        operation: Management,
        mailbox: Place,
        pages: Shared<'id, Blocks>,
    ) -> (Answer<'id>, u64) {
        let Some(mailbox) = mailbox.of(|n| pages.page(n)) else {
            return (not_called(), 0);
        };
        let call = Call::SpdmManage {
            id,
            operation,
            mailbox,
            info: NO_PAGE,
        };
        let (answer, [len, _]) = self.call_shared(call, pages, &mut None);
        (answer, len)
    }

    /// TDH.SPDM.MNG, device info once more: one step. As for CONNECT.
    pub(crate) fn spdm_recollect<'id, G: Gate>(
        &self,
        _slot: &mut Slot<'_, G>,
        id: u64,
        mailbox: Place,
        pages: Shared<'id, Blocks>,
        info: &mut Option<Told<Lasting>>,
    ) -> (Answer<'id>, u64) {
        let operands = (
            mailbox.of(|n| pages.page(n)),
            info.as_ref().and_then(|info| pages.array(info)),
        );
        let (Some(mailbox), Some(array)) = operands else {
            return (not_called(), 0);
        };
        let call = Call::SpdmManage {
            id,
            operation: Management::DeviceInfo,
            mailbox,
            info: array.raw(),
        };
        let (answer, [len, _]) = self.call_shared(call, pages, info);
        (answer, len)
    }
}

/// Which pages of some memory are a mailbox, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Of what the device said.
    pub(crate) response: usize,
    /// Of what it is to be told.
    pub(crate) request: usize,
}

impl Place {
    /// The mailbox itself.
    pub(super) fn of(self, page: impl Fn(usize) -> Option<Hpa>) -> Option<Mailbox> {
        Some(Mailbox {
            response: page(self.response)?,
            request: page(self.request)?,
        })
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The leaves with their operands, each as it is called, and called again.

use super::ids::Space;
use crate::abi::{
    function::FunctionId,
    ide::{
        KeyManagement,
        StreamControl,
        StreamInfo, //
    },
    list::IommuMt,
    spdm::{
        Management,
        NO_PAGE, //
    },
    Hpa,
    Leaf, //
};
use crate::bindings;

/// Where the messages of an exchange are.
#[derive(Clone, Copy)]
pub(crate) struct Mailbox {
    /// The page from which the TDX Module reads what the device said.
    pub(crate) response: Hpa,
    /// The page to which it writes what the device is to be told.
    pub(crate) request: Hpa,
}

/// The operands of TDH.IDE.STREAM.CREATE beside session and pages.
#[derive(Clone, Copy)]
pub(crate) struct StreamOperands {
    /// Root port and kind.
    pub(crate) info: StreamInfo,
    /// Image of the control register.
    pub(crate) control: StreamControl,
    /// Images of the RID association registers.
    pub(crate) rids: [u64; 2],
    /// Images of the address association registers.
    pub(crate) addresses: [u64; 3],
}

/// A leaf with its operands.
#[derive(Clone, Copy)]
pub(super) enum Call {
    ExtInit,
    IommuSetup {
        reg_base: u64,
        iommu_mt: IommuMt,
        // For its undoing.
        clear: u64,
    },
    IommuClear {
        id: u64,
        root: u64,
    },
    SpdmCreate {
        function: FunctionId,
        pages: u64,
        // For its undoing.
        aux: u64,
    },
    SpdmDelete {
        id: u64,
        aux: u64,
    },
    SpdmConnect {
        id: u64,
        config: Hpa,
        mailbox: Mailbox,
        info: u64,
    },
    SpdmDisconnect {
        id: u64,
        mailbox: Mailbox,
    },
    SpdmManage {
        id: u64,
        operation: Management,
        mailbox: Mailbox,
        info: u64,
    },
    IdeCreate {
        session: u64,
        pages: u64,
        operands: StreamOperands,
        // For its undoing.
        aux: u64,
    },
    IdeBlock {
        session: u64,
        id: u64,
        // For its undoing: that of a stream that was made too late.
        aux: Option<u64>,
    },
    IdeDelete {
        session: u64,
        id: u64,
        aux: u64,
    },
    IdeKeys {
        session: u64,
        id: u64,
        operation: KeyManagement,
        mailbox: Mailbox,
    },
}

/// What a leaf gives beside its status: RCX and RDX, 0 where it has none. They mean something after
/// success only, and RCX after TDX_SPDM_REQUEST.
pub(super) type Outputs = [u64; 2];

impl Call {
    /// Which leaf.
    pub(super) const fn leaf(self) -> Leaf {
        match self {
            Self::ExtInit => Leaf::EXT_INIT,
            Self::IommuSetup { .. } => Leaf::IOMMU_SETUP,
            Self::IommuClear { .. } => Leaf::IOMMU_CLEAR,
            Self::SpdmCreate { .. } => Leaf::SPDM_CREATE,
            Self::SpdmDelete { .. } => Leaf::SPDM_DELETE,
            Self::SpdmConnect { .. } => Leaf::SPDM_CONNECT,
            Self::SpdmDisconnect { .. } => Leaf::SPDM_DISCONNECT,
            Self::SpdmManage { .. } => Leaf::SPDM_MNG,
            Self::IdeCreate { .. } => Leaf::IDE_STREAM_CREATE,
            Self::IdeBlock { .. } => Leaf::IDE_STREAM_BLOCK,
            Self::IdeDelete { .. } => Leaf::IDE_STREAM_DELETE,
            Self::IdeKeys { .. } => Leaf::IDE_STREAM_KM,
        }
    }

    /// Makes the SEAMCALL once; the status in RAX.
    ///
    /// # Safety
    ///
    /// Whatever the operands name is on record, and stays so until the leaf has come to its end; the
    /// root page among them is borrowed, or kept away, for as long.
    pub(super) unsafe fn make(self, [rcx, rdx]: &mut Outputs) -> u64 {
        // SAFETY: As this function's requirement; the outputs outlive the call.
        unsafe {
            match self {
                Self::ExtInit => bindings::tdh_ext_init(),
                Self::IommuSetup {
                    reg_base, iommu_mt, ..
                } => bindings::tdh_iommu_setup(reg_base, iommu_mt.raw(), rcx),
                Self::IommuClear { id, root } => bindings::tdh_iommu_clear(id, root),
                Self::SpdmCreate {
                    function, pages, ..
                } => bindings::tdh_spdm_create(function.raw(), pages, rcx),
                Self::SpdmDelete { id, aux } => bindings::tdh_spdm_delete(id, aux, rcx),
                Self::SpdmConnect {
                    id,
                    config,
                    mailbox,
                    info,
                } => bindings::tdh_spdm_connect(
                    id,
                    config.get(),
                    mailbox.response.get(),
                    mailbox.request.get(),
                    info,
                    rcx,
                ),
                Self::SpdmDisconnect { id, mailbox } => bindings::tdh_spdm_disconnect(
                    id,
                    mailbox.response.get(),
                    mailbox.request.get(),
                    rcx,
                ),
                Self::SpdmManage {
                    id,
                    operation,
                    mailbox,
                    info,
                } => bindings::tdh_spdm_mng(
                    id,
                    operation.raw(),
                    NO_PAGE,
                    mailbox.response.get(),
                    mailbox.request.get(),
                    info,
                    rcx,
                ),
                Self::IdeCreate {
                    session,
                    pages,
                    operands,
                    ..
                } => {
                    let [rid1, rid2] = operands.rids;
                    let [addr1, addr2, addr3] = operands.addresses;
                    let (info, control) = (operands.info.raw(), operands.control.raw());
                    bindings::tdh_ide_stream_create(
                        info, session, pages, control, rid1, rid2, addr1, addr2, addr3, rcx, rdx,
                    )
                }
                Self::IdeBlock { session, id, .. } => bindings::tdh_ide_stream_block(session, id),
                Self::IdeDelete { session, id, aux } => {
                    bindings::tdh_ide_stream_delete(session, id, aux, rcx)
                }
                Self::IdeKeys {
                    session,
                    id,
                    operation,
                    mailbox,
                } => bindings::tdh_ide_stream_km(
                    session,
                    id,
                    operation.raw(),
                    mailbox.response.get(),
                    mailbox.request.get(),
                    rcx,
                ),
            }
        }
    }

    /// The id that it gives to what it makes, by its outputs.
    pub(super) const fn gives(self, [rcx, _]: Outputs) -> Option<(Space, u64)> {
        match self {
            Self::IommuSetup { .. } => Some((Space::Iommu, rcx)),
            Self::SpdmCreate { .. } => Some((Space::Session, rcx)),
            Self::IdeCreate { session, .. } => Some((Space::Stream { session }, rcx)),
            _ => None,
        }
    }

    /// The id of the object that it ends.
    pub(super) const fn ends(self) -> Option<(Space, u64)> {
        match self {
            Self::IommuClear { id, .. } => Some((Space::Iommu, id)),
            Self::SpdmDelete { id, .. } => Some((Space::Session, id)),
            Self::IdeDelete { session, id, .. } => Some((Space::Stream { session }, id)),
            _ => None,
        }
    }

    /// What takes back what this leaf made, when it succeeded so late that nobody waits for it any
    /// more.
    pub(super) const fn undo(self, [rcx, _]: Outputs) -> Option<Self> {
        match self {
            Self::IommuSetup { clear, .. } => Some(Self::IommuClear {
                id: rcx,
                root: clear,
            }),
            Self::SpdmCreate { aux, .. } => Some(Self::SpdmDelete { id: rcx, aux }),
            Self::IdeCreate { session, aux, .. } => Some(Self::IdeBlock {
                session,
                id: rcx,
                aux: Some(aux),
            }),
            Self::IdeBlock {
                session,
                id,
                aux: Some(aux),
            } => Some(Self::IdeDelete { session, id, aux }),
            _ => None,
        }
    }
}

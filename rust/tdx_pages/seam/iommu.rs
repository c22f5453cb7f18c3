// SPDX-License-Identifier: GPL-2.0

//! Leaves on IOMMUs, and TDH.EXT.INIT.

use super::{
    call::Call,
    resumed::InRoot,
    Seam, //
};
use crate::abi::Status;
use crate::custody::{
    listed::Tables,
    transitions::Answer, //
};

impl Seam {
    /// TDH.EXT.INIT: whether it succeeded, and the status.
    pub(crate) fn ext_init(&self) -> (bool, Status) {
        self.call(Call::ExtInit)
    }

    /// TDH.IOMMU.SETUP on the remapping unit with this register base. The IOMMU id means something
    /// after success only.
    pub(crate) fn iommu_setup<'id>(
        &self,
        reg_base: u64,
        tables: InRoot<'id, '_, Tables>,
    ) -> (Answer<'id>, u64) {
        let call = Call::IommuSetup {
            reg_base,
            iommu_mt: tables.iommu_mt(),
            clear: self.profile().clear(tables.root()),
        };
        let (answer, [id, _], _tables) = self.call_listed(call, tables);
        (answer, id)
    }

    /// TDH.IOMMU.CLEAR. In the v2 profile the list may be written back to the root page of `tables`,
    /// and is checked after success.
    pub(crate) fn iommu_clear<'id>(&self, id: u64, tables: InRoot<'id, '_, Tables>) -> Answer<'id> {
        let root = self.profile().clear(tables.root());
        let call = Call::IommuClear { id, root };
        match self.call_listed(call, tables) {
            (answer, _, Some(tables)) if answer.is_success() => {
                answer.with_list(self.profile().is_cleared(&tables))
            }
            (answer, ..) => answer,
        }
    }
}

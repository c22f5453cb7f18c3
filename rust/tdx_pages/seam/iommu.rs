// SPDX-License-Identifier: GPL-2.0

//! Leaves on IOMMUs, and TDH.EXT.INIT.

use super::{
    call::Call,
    resumed::InRoot,
    Seam, //
};
use crate::custody::{
    listed::Tables,
    transitions::Answer, //
};

impl Seam {
    /// TDH.EXT.INIT.
    pub(crate) fn ext_init(&self) -> Answer {
        self.call(Call::ExtInit).0
    }

    /// TDH.IOMMU.SETUP on the remapping unit with this register base. The IOMMU id means something
    /// after success only.
    pub(crate) fn iommu_setup(&self, reg_base: u64, tables: InRoot<'_, Tables>) -> (Answer, u64) {
        let call = Call::IommuSetup {
            reg_base,
            iommu_mt: tables.iommu_mt(),
            clear: self.profile().clear(tables.root()),
        };
        let (answer, [id, _], _tables) = self.call_listed(call, Some(tables));
        (answer, id)
    }

    /// TDH.IOMMU.CLEAR. In the v2 profile the list may be written back to the root page of `tables`,
    /// and is checked after success.
    pub(crate) fn iommu_clear(&self, id: u64, tables: InRoot<'_, Tables>) -> Answer {
        let root = self.profile().clear(tables.root());
        let call = Call::IommuClear { id, root };
        match self.call_listed(call, Some(tables)) {
            (answer, _, Some(tables)) if answer.is_success() => {
                answer.with_list(self.profile().is_cleared(&tables))
            }
            (answer, ..) => answer,
        }
    }
}

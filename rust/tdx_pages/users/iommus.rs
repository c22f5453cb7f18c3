// SPDX-License-Identifier: GPL-2.0

//! All IOMMUs of the ACPI DMAR table.

use super::{
    dmar::{
        Dmar,
        Unit, //
    },
    iommu::{
        Iommu,
        NotSetUp, //
    },
    registry::{
        Object,
        Owner, //
    }, //
};
use crate::bindings;
use crate::mm::blocks::Node;
use crate::platform::Kernel;
use kernel::{
    alloc::kvec::PushError,
    prelude::*, //
};

/// All IOMMUs that were set up. Dropping it clears them and releases their memory.
pub(crate) struct Iommus {
    kernel: Kernel,
    units: KVec<Up>,
}

struct Up {
    reg_base: u64,
    // Held for its end.
    _iommu: Iommu,
}

impl Iommus {
    /// None yet, with room for every unit of a DMAR table, so that no unit will be without a place.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(kernel: &Kernel, dmar: Dmar<'_>) -> Result<Self> {
        Ok(Self {
            kernel: kernel.clone(),
            units: KVec::with_capacity(dmar.units().count(), GFP_KERNEL)?,
        })
    }

    /// Sets up every unit of the table. A unit that fails, or that the TDX Module refuses, leaves
    /// the others up and is told in one line. `pages` is IOMMU_MT_PAGE_COUNT, checked.
    pub(crate) fn set_up(&mut self, dmar: Dmar<'_>, pages: usize) {
        for unit in dmar.units() {
            if self.units.iter().any(|up| up.reg_base == unit.reg_base) {
                pr_warn!(
                    "iommu {:#x}: listed twice in the DMAR table, set up once\n",
                    unit.reg_base
                );
                continue;
            }
            let Some(up) = self.set_up_one(unit, node_of(dmar, unit), pages) else {
                continue;
            };
            // There is room for each unit of the table; of another table, perhaps not.
            if let Err(PushError(up)) = self.units.push_within_capacity(up) {
                drop(up);
            }
        }
        pr_info!(
            "iommu: {} of {} remapping units set up\n",
            self.units.len(),
            dmar.units().count()
        );
    }

    fn set_up_one(&self, unit: Unit, node: Node, pages: usize) -> Option<Up> {
        let reg_base = unit.reg_base;
        let user = &self.kernel.users().iommu;
        let owner = Owner::new(user, Object::RegBase(reg_base));
        match Iommu::new(&self.kernel, owner, reg_base, pages, node) {
            Ok(iommu) => {
                pr_info!(
                    "iommu {:#x}: set up, id {:#x}, segment {}, {} pages on node {}{}\n",
                    reg_base,
                    iommu.id(),
                    unit.segment,
                    iommu.pages(),
                    iommu.node().unwrap_or(-1),
                    match node {
                        Node::Id(nid) if iommu.node() != Some(nid) => " (its own had no memory)",
                        _ => "",
                    }
                );
                Some(Up {
                    reg_base,
                    _iommu: iommu,
                })
            }
            Err(NotSetUp::NotCapable) => {
                pr_info!(
                    "iommu {:#x}: the TDX Module says it is not capable, skipped\n",
                    reg_base
                );
                None
            }
            Err(NotSetUp::Failed(_)) => None,
        }
    }

    /// The number of IOMMUs in TDX mode.
    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }
}

/// The node that RHSA tells for a unit, where ACPI knows its proximity domain.
fn node_of(dmar: Dmar<'_>, unit: Unit) -> Node {
    let Some(proximity) = dmar.proximity(unit) else {
        return Node::Any;
    };
    // SAFETY: No preconditions.
    match unsafe { bindings::tdx_pages_proximity_node(proximity) } {
        nid if nid >= 0 => Node::Id(nid),
        _ => Node::Any,
    }
}

impl Drop for Iommus {
    fn drop(&mut self) {
        // In the opposite order.
        while let Some(up) = self.units.pop() {
            drop(up);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The IOMMU_MT of each IOMMU: memory tables that the TDX Module keeps for trusted DMA.

use super::{
    dmar::{
        Dmar,
        Unit, //
    },
    registry::Owner, //
};
use crate::abi::{
    list::IommuMt,
    Leaf,
    Status, //
};
use crate::bindings;
use crate::custody::{
    memory::{
        Lend,
        Memory,
        Platform, //
    },
    transitions::{
        hand_over,
        HandOverError,
        Held,
        ReleaseError, //
    }, //
};
use crate::mm::{
    blocks::Node,
    Blocks, //
};
use crate::platform::Kernel;
use kernel::{
    alloc::kvec::PushError,
    prelude::*, //
};

/// The memory of one IOMMU_MT: two queues, which are folios, and single pages.
pub(crate) struct Tables(Blocks);

impl Tables {
    /// Allocates them on one node. `pages` is IOMMU_MT_PAGE_COUNT, checked. The queues are zeroed,
    /// as in the host patches; the TDX Module clears what it takes.
    pub(crate) fn new(pages: usize, node: Node) -> Result<Self> {
        let queues = [IommuMt::QUEUE_PAGES; IommuMt::QUEUES];
        Ok(Self(Blocks::with_folios(&queues, pages, node)?))
    }
}

impl Lend for Tables {
    type Memory = Blocks;

    fn into_memory(self) -> Blocks {
        self.0
    }

    fn from_memory(memory: Blocks) -> Self {
        Self(memory)
    }
}

/// An IOMMU in TDX mode.
struct Iommu {
    reg_base: u64,
    id: u64,
    // `None` once it has been taken out of TDX mode.
    tables: Option<Held<Tables, Kernel>>,
}

/// All IOMMUs that were set up. Dropping it clears them and releases their memory.
pub(crate) struct Iommus {
    kernel: Kernel,
    units: KVec<Iommu>,
}

/// How setting up one unit ended.
enum SetUp {
    Done(Iommu),
    /// The TDX Module says that this unit cannot run in TDX mode.
    NotCapable,
    Failed,
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
        let kernel = self.kernel.clone();
        for unit in dmar.units() {
            if self.units.iter().any(|up| up.reg_base == unit.reg_base) {
                pr_warn!(
                    "iommu {:#x}: listed twice in the DMAR table, set up once\n",
                    unit.reg_base
                );
                continue;
            }
            let node = node_of(dmar, unit);
            match set_up_one(&kernel, unit, node, pages) {
                SetUp::Done(iommu) => {
                    if let Err(PushError(mut iommu)) = self.units.push_within_capacity(iommu) {
                        // There is room for each unit of the table; of another table, perhaps not.
                        iommu.clear(&kernel);
                    }
                }
                SetUp::NotCapable => pr_info!(
                    "iommu {:#x}: the TDX Module says it is not capable, skipped\n",
                    unit.reg_base
                ),
                SetUp::Failed => {}
            }
        }
        pr_info!(
            "iommu: {} of {} remapping units set up\n",
            self.units.len(),
            dmar.units().count()
        );
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

fn set_up_one(kernel: &Kernel, unit: Unit, node: Node, pages: usize) -> SetUp {
    let reg_base = unit.reg_base;
    let tables = match Tables::new(pages, node) {
        Ok(tables) => tables,
        Err(_) => {
            pr_err!(
                "iommu {:#x}: no memory for its IOMMU_MT, not set up\n",
                reg_base
            );
            return SetUp::Failed;
        }
    };
    let got = tables.0.node();
    let owner = Owner::of(&kernel.users().iommu, reg_base);
    let mut id = 0;
    let held = hand_over(
        kernel,
        &owner,
        tables,
        Leaf::IOMMU_SETUP,
        |recorded| match recorded.list_tables(kernel.root()) {
            Ok(tables) => {
                let (answer, answered) = kernel.seam().iommu_setup(reg_base, tables);
                id = answered;
                answer
            }
            Err(answer) => answer,
        },
    );
    match held {
        Ok(held) => {
            pr_info!(
                "iommu {:#x}: set up, id {:#x}, segment {}, {} pages on node {}{}\n",
                reg_base,
                id,
                unit.segment,
                IommuMt::QUEUES * IommuMt::QUEUE_PAGES + pages,
                got.unwrap_or(-1),
                match node {
                    Node::Id(nid) if got != Some(nid) => " (its own had no memory)",
                    _ => "",
                }
            );
            SetUp::Done(Iommu {
                reg_base,
                id,
                tables: Some(held),
            })
        }
        Err(HandOverError::Back(_tables, status))
            if status.masked() == Status::OPERAND_INVALID && !status.is_not_executed() =>
        {
            SetUp::NotCapable
        }
        Err(HandOverError::Back(_tables, status)) => {
            pr_err!(
                "iommu {:#x}: TDH.IOMMU.SETUP answered {}, not set up; its memory is back\n",
                reg_base,
                status
            );
            SetUp::Failed
        }
        Err(HandOverError::Refused(_tables, why)) => {
            pr_err!("iommu {:#x}: not set up: {}\n", reg_base, why.text());
            SetUp::Failed
        }
        Err(HandOverError::Settled(settled)) => {
            pr_err!(
                "iommu {:#x}: not set up; {} of its pages stay with the TDX Module, {} were freed\n",
                reg_base,
                settled.quarantined,
                settled.freed
            );
            SetUp::Failed
        }
    }
}

impl Iommu {
    fn clear(&mut self, kernel: &Kernel) {
        let Some(tables) = self.tables.take() else {
            return;
        };
        let id = self.id;
        let released = tables.release(Leaf::IOMMU_CLEAR, |recorded| {
            // A copy of the list, so that a TDX Module which only checks the operand passes too.
            match recorded.list_tables(kernel.root()) {
                Ok(tables) => kernel.seam().iommu_clear(id, tables),
                Err(answer) => answer,
            }
        });
        match released {
            Ok(tables) => pr_info!(
                "iommu {:#x}: cleared, {} pages released\n",
                self.reg_base,
                tables.0.pages()
            ),
            // This is unload: there is no later chance for the leaf, but one for the proof.
            Err(ReleaseError::StillHeld(held, answer)) => {
                held.quarantine(Leaf::IOMMU_CLEAR, answer);
            }
            // The ledger has said it, unless every page is proved.
            Err(ReleaseError::Settled(settled)) if settled.quarantined > 0 => {}
            Err(ReleaseError::Settled(settled)) => pr_err!(
                "iommu {:#x}: TDH.IOMMU.CLEAR gave back a wrong list, but all {} pages are proved and freed\n",
                self.reg_base,
                settled.freed
            ),
        }
    }
}

impl Drop for Iommus {
    fn drop(&mut self) {
        // In the opposite order.
        while let Some(mut iommu) = self.units.pop() {
            iommu.clear(&self.kernel);
        }
    }
}

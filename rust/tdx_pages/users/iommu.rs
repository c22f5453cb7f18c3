// SPDX-License-Identifier: GPL-2.0

//! One IOMMU in TDX mode: its IOMMU_MT, memory tables that the TDX Module keeps for trusted DMA.

use super::{
    ending::Ending,
    registry::Owner, //
};
use crate::abi::{
    list::IommuMt,
    Leaf,
    Status, //
};
use crate::custody::{
    listed::Recorded,
    memory::{
        Lend,
        Memory,
        Platform, //
    },
    transitions::{
        hand_over,
        Answer,
        HandOverError,
        Held,
        Why, //
    }, //
};
use crate::mm::{
    blocks::Node,
    Blocks, //
};
use crate::platform::Kernel;
use crate::print::{
    may_tell,
    may_tell_news, //
};
use crate::seam::ids::{
    Id,
    Room,
    Space, //
};
use kernel::prelude::*;

/// The memory of one IOMMU_MT: two queues, which are folios, and single pages.
pub(crate) struct Tables(Blocks);

impl Tables {
    /// Allocates them on one node. `pages` is IOMMU_MT_PAGE_COUNT, checked. The queues are zeroed,
    /// as in the host patches; the TDX Module clears what it takes.
    pub(crate) fn new(pages: usize, node: Node) -> Result<Self> {
        let queues = [IommuMt::QUEUE_PAGES; IommuMt::QUEUES];
        Ok(Self(Blocks::with_folios(&queues, pages, node)?))
    }

    /// Hands them over by TDH.IOMMU.SETUP to the remapping unit with this register base. Gives what
    /// the TDX Module calls the IOMMU, too. Sleeps.
    pub(crate) fn set_up(
        self,
        kernel: &Kernel,
        owner: &Owner,
        reg_base: u64,
    ) -> Result<(Held<Self, Kernel>, u64), HandOverError<Self>> {
        let mut id = 0;
        let held = hand_over(
            kernel,
            owner,
            self,
            Leaf::IOMMU_SETUP,
            |recorded| match recorded.list_tables(kernel.root()) {
                Ok(tables) => {
                    let answer;
                    (answer, id) = kernel.seam().iommu_setup(reg_base, tables);
                    answer
                }
                Err(answer) => answer,
            },
        )?;
        Ok((held, id))
    }
}

/// Calls TDH.IOMMU.CLEAR for the IOMMU with this id, whose tables are to be released. Sleeps.
pub(crate) fn clear<'id>(kernel: &Kernel, id: u64, tables: Recorded<'id, Blocks>) -> Answer<'id> {
    // A copy of the list, so that a TDX Module which only checks the operand passes too.
    match tables.list_tables(kernel.root()) {
        Ok(tables) => kernel.seam().iommu_clear(id, tables),
        Err(answer) => answer,
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

/// An IOMMU in TDX mode. Dropping it clears the IOMMU and releases its memory. Sleeps.
pub(crate) struct Iommu {
    kernel: Kernel,
    owner: Owner,
    id: Id,
    node: Option<i32>,
    pages: usize,
    // `None` once it has been taken out of TDX mode.
    tables: Option<Held<Tables, Kernel>>,
}

/// Why an IOMMU is not in TDX mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSetUp {
    /// The TDX Module says that it cannot run in TDX mode.
    NotCapable,
    /// Something else, which has been told.
    Failed(Error),
}

impl Iommu {
    /// Sets up the remapping unit with this register base. `pages` is IOMMU_MT_PAGE_COUNT, checked.
    /// A failure has been told in one line. Sleeps.
    pub(crate) fn new(
        kernel: &Kernel,
        owner: Owner,
        reg_base: u64,
        pages: usize,
        node: Node,
    ) -> Result<Self, NotSetUp> {
        let parts = || Ok((Tables::new(pages, node)?, Room::new()?));
        let (tables, room) = parts().map_err(|error| {
            if may_tell() {
                pr_err!(
                    "{}: no memory for its IOMMU_MT: not set up, nothing was handed over\n",
                    owner
                );
            }
            NotSetUp::Failed(error)
        })?;
        let (got, all) = (tables.0.node(), tables.0.pages());
        let (held, id) = tables
            .set_up(kernel, &owner, reg_base)
            .map_err(|error| not_set_up(&owner, error))?;
        let Some(id) = room.take(kernel, &owner, Space::Iommu, id) else {
            if may_tell() {
                pr_err!(
                    "{}: the TDX Module calls it {:#x}, as it calls another one: not used, its pages stay out of use\n",
                    owner,
                    id
                );
            }
            held.quarantine(Why::WrongId, Leaf::IOMMU_SETUP, Status::SUCCESS);
            return Err(NotSetUp::Failed(EIO));
        };
        Ok(Self {
            kernel: kernel.clone(),
            owner,
            id,
            node: got,
            pages: all,
            tables: Some(held),
        })
    }

    /// What the TDX Module calls it.
    pub(crate) fn id(&self) -> u64 {
        self.id.get()
    }

    /// The NUMA node that its memory came from.
    pub(crate) fn node(&self) -> Option<i32> {
        self.node
    }

    /// The number of its pages.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }
}

/// Tells why a SETUP did not do it.
fn not_set_up(owner: &Owner, error: HandOverError<Tables>) -> NotSetUp {
    match error {
        HandOverError::Back(_tables, status)
            if status.masked() == Status::OPERAND_INVALID && !status.is_not_executed() =>
        {
            return NotSetUp::NotCapable;
        }
        HandOverError::Back(_tables, status) => {
            if may_tell() {
                pr_err!(
                    "{}: TDH.IOMMU.SETUP answered {}, not set up; its memory is back\n",
                    owner,
                    status
                );
            }
            if status.masked() == Status::IOMMU_INVALID_STATE {
                // It is set up already.
                return NotSetUp::Failed(EBUSY);
            }
        }
        HandOverError::Refused(_tables, why) => {
            if may_tell() {
                pr_err!("{}: not set up: {}\n", owner, why.text());
            }
        }
        // The ledger has said it.
        HandOverError::Settled(_settled) => {}
    }
    NotSetUp::Failed(EIO)
}

impl Drop for Iommu {
    fn drop(&mut self) {
        let Some(tables) = self.tables.take() else {
            return;
        };
        let kernel = &self.kernel;
        let ending = Ending {
            kernel,
            owner: &self.owner,
            id: &self.id,
            leaf: Leaf::IOMMU_CLEAR,
        };
        let released = ending.release(tables, |id, recorded| clear(kernel, id, recorded));
        if let Some(pages) = ending.told(released) {
            if may_tell_news() {
                pr_info!("{}: cleared, {} pages released\n", self.owner, pages);
            }
        }
    }
}

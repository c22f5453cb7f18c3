// SPDX-License-Identifier: GPL-2.0

//! What the TDX Module says late, or cannot have said.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_late)]
mod tests {
    use super::super::*;
    use crate::custody::record::Remains;
    use crate::mm::blocks::Node;
    use crate::platform::Kernel;
    use crate::users::{
        iommu::Iommu,
        registry::{
            Object,
            Owner, //
        }, //
    };

    /// Any number that is never reached.
    const FOR_EVER: u64 = u32::MAX as u64;

    const NOTHING: Remains = Remains {
        held_for_good: 0,
        lost: 0,
    };

    fn kernel(patience: i64) -> Result<Kernel> {
        Kernel::new(KEYID, Delta::from_millis(patience))
    }

    fn up(kernel: &Kernel, pages: usize) -> Option<Iommu> {
        let owner = Owner::new(&kernel.users().iommu, Object::RegBase(UNITS[0]));
        Iommu::new(kernel, owner, UNITS[0], pages, Node::Any).ok()
    }

    #[test]
    fn a_clear_that_succeeds_late_is_followed_by_reclaim() -> Result {
        for left in [false, true] {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            let kernel = kernel(50)?;
            let iommu = up(&kernel, 3).ok_or(EIO)?;
            // As TDX Modules of the preview do.
            emu.keep_all()?;
            if left {
                emu.interrupt(Leaf::IOMMU_CLEAR, FOR_EVER)?;
            }
            drop(iommu);
            emu.interrupt(Leaf::IOMMU_CLEAR, 0)?;
            let _ = kernel.retry();
            expect_eq!((left, kernel.close()), (left, NOTHING));
        }
        Ok(())
    }

    #[test]
    fn a_set_up_that_is_undone_late_is_followed_by_reclaim() -> Result {
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let kernel = kernel(50)?;
        emu.interrupt(Leaf::IOMMU_SETUP, FOR_EVER)?;
        expect!(up(&kernel, 3).is_none());
        emu.keep_all()?;
        emu.interrupt(Leaf::IOMMU_SETUP, 0)?;
        expect_eq!(kernel.retry().left, 0);
        expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (1, 1));
        expect_eq!(kernel.close(), NOTHING);
        Ok(())
    }

    #[test]
    fn a_leaf_left_interrupted_is_waited_for_at_unload() -> Result {
        for rounds in 0..3 {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            let kernel = kernel(200)?;
            let iommu = up(&kernel, 3).ok_or(EIO)?;
            emu.interrupt(Leaf::IOMMU_CLEAR, FOR_EVER)?;
            drop(iommu);
            // The worker's rounds are one try each, which is no waiting.
            for _ in 0..rounds {
                expect_eq!(kernel.retry().left, TABLE_PAGES);
            }
            emu.interrupt(Leaf::IOMMU_CLEAR, 50)?;
            expect_eq!((rounds, kernel.close()), (rounds, NOTHING));
        }
        Ok(())
    }

    #[test]
    fn busy_at_the_last_try_behind_a_page_that_is_owned() -> Result {
        for status in [Status::OPERAND_BUSY, Status::UD] {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            let kernel = kernel(50)?;
            core::mem::forget(up(&kernel, 3).ok_or(EIO)?);
            emu.reset()?;
            // The first page is never proved, the next two meet something that passes.
            let wbinvd = Leaf::PHYMEM_PAGE_WBINVD;
            let owned = Status::PAGE_METADATA_INCORRECT;
            emu.fail(wbinvd, 1, 1, owned, Fault::Before)?;
            emu.then_fail(wbinvd, 1, 2, status, Fault::Before)?;
            expect_eq!((status, kernel.close()), (status, NOTHING));
            // Seven pages, of which three were tried twice.
            expect_eq!(emu.calls(wbinvd)?, (10, 7));
        }
        Ok(())
    }

    #[test]
    fn what_the_kernel_cannot_have_said_goes_to_the_proof() -> Result {
        for raw in [
            0xc000_ff00_1234_5678,
            0x8000_ff00_0000_0001,
            0xe000_ff77_dead_beef,
            0xc000_0505_0000_0001,
            0xc000_0506_dead_beef,
        ] {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            let kernel = kernel(50)?;
            let status = Status::from_raw(raw);
            emu.fail(Leaf::IOMMU_SETUP, 1, 1, status, Fault::After)?;
            expect!(up(&kernel, 3).is_none());
            let quarantined = kernel.users().balance().quarantined;
            expect_eq!((raw, quarantined), (raw, TABLE_PAGES));
            emu.reset()?;
            expect_eq!(kernel.close(), NOTHING);
        }
        Ok(())
    }

    #[test]
    fn busy_after_its_effect_and_then_not_executed() -> Result {
        for last in [Status::UD, Status::SYS_NOT_READY, Status::SYS_SHUTDOWN] {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            let kernel = kernel(50)?;
            let leaf = Leaf::IOMMU_SETUP;
            emu.fail(leaf, 1, 1, Status::OPERAND_BUSY, Fault::After)?;
            emu.then_fail(leaf, 1, 1, last, Fault::Before)?;
            expect!(up(&kernel, 3).is_none());
            expect_eq!(emu.calls(leaf)?.0, 2);
            let quarantined = kernel.users().balance().quarantined;
            expect_eq!((last, quarantined), (last, TABLE_PAGES));
            emu.reset()?;
            expect_eq!(kernel.close(), NOTHING);
        }
        Ok(())
    }

    #[test]
    fn fewer_pages_than_it_reads() -> Result {
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let kernel = kernel(50)?;
        // The root page has been another's before.
        drop(up(&kernel, 3).ok_or(EIO)?);
        // An update changed the number, say: the words behind the list are none of ours.
        expect!(up(&kernel, 1).is_none());
        let balance = emu.balance()?;
        expect_eq!((balance.owned, balance.host_bugs), (0, 0));
        expect_eq!(kernel.close(), NOTHING);
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The IOMMUs.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_iommu)]
mod tests {
    use super::super::*;
    use crate::custody::transitions::{
        Held,
        ReleaseError,
        Settled,
        Why, //
    };
    use crate::mm::blocks::Node;
    use crate::platform::Kernel;
    use crate::users::{
        iommu::{
            clear,
            Tables, //
        },
        registry::{
            Object,
            Owner, //
        }, //
    };

    /// Sets an IOMMU up; what is held, and its id.
    fn set_up(kernel: &Kernel, reg_base: u64) -> Result<(Held<Tables, Kernel>, u64)> {
        let owner = Owner::new(&kernel.users().iommu, Object::RegBase(reg_base));
        let tables = Tables::new(usize::try_from(SINGLES)?, Node::Any)?;
        tables.set_up(kernel, &owner, reg_base).map_err(|_| EIO)
    }

    /// Clears the IOMMU with this id; what did not come back as it must.
    fn settled(kernel: &Kernel, held: Held<Tables, Kernel>, id: u64) -> Result<Settled> {
        match held.release(Leaf::IOMMU_CLEAR, |tables| clear(kernel, id, tables)) {
            Err(ReleaseError::Settled(settled)) => Ok(settled),
            _ => Err(EIO),
        }
    }

    #[test]
    fn set_up_and_cleared() -> Result {
        let dmar = dmar(&UNITS)?;
        for singles in [1, SINGLES, 510] {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            emu.set(Field::IOMMU_MT_PAGE_COUNT, singles)?;
            let attached = Attached::new(iommu_only(&dmar))?;
            let pages = 2 * (4 + singles);
            expect_eq!(emu.balance()?.owned, pages);
            expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (2, 2));
            drop(attached);
            expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (2, 2));
            // One for each 4 KiB page, both pages of each queue among them.
            expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (pages, pages));
            let balance = emu.balance()?;
            expect_eq!((balance.owned, balance.dirty), (0, 0));
            expect_eq!((balance.released, balance.host_bugs), (pages, 0));
        }
        Ok(())
    }

    #[test]
    fn a_refused_unit_is_skipped() -> Result {
        let dmar = dmar(&UNITS)?;
        for refused in UNITS {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            emu.refuse(refused)?;
            let attached = Attached::new(iommu_only(&dmar))?;
            expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (2, 1));
            let balance = attached.kernel().users().iommu.account().balance();
            expect_eq!(balance.held, TABLE_PAGES);
            drop(attached);
            expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (1, 1));
            let balance = emu.balance()?;
            expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        }
        Ok(())
    }

    #[test]
    fn set_up_fails_for_one_unit() -> Result {
        let dmar = dmar(&UNITS)?;
        for nth in [1, 2] {
            for when in [Fault::Before, Fault::After] {
                let Some(emu) = begin(0)? else {
                    return Ok(());
                };
                emu.fail(Leaf::IOMMU_SETUP, nth, 1, Status::IOMMU_INVALID_STATE, when)?;
                let attached = Attached::new(iommu_only(&dmar))?;
                let kernel = attached.kernel().clone();
                let account = kernel.users().iommu.account();
                expect_eq!(account.balance().held, TABLE_PAGES);
                let kept = match when {
                    Fault::Before => 0,
                    // It was set up and said to be not: nobody knows its id, so it stays so.
                    Fault::After => TABLE_PAGES,
                };
                expect_eq!(account.balance().quarantined, kept);
                if kept > 0 {
                    // It comes to its senses, or no page would ever come back to this test.
                    emu.reset()?;
                    expect_eq!(kernel.recover(), 2 * TABLE_PAGES);
                }
                drop(attached);
                let balance = emu.balance()?;
                expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
            }
        }
        Ok(())
    }

    #[test]
    fn interrupted_leaves_are_resumed() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        emu.interrupt(Leaf::IOMMU_SETUP, 3)?;
        emu.interrupt(Leaf::IOMMU_CLEAR, 4)?;
        drop(Attached::new(iommu_only(&dmar))?);
        expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (8, 2));
        expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (10, 2));
        let balance = emu.balance()?;
        expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn not_executed_after_an_interruption_is_no_end() -> Result {
        let dmar = dmar(&UNITS[..1])?;
        for status in [Status::UD, Status::SYS_SHUTDOWN, Status::OPERAND_BUSY] {
            let Some(emu) = begin(0)? else {
                return Ok(());
            };
            emu.interrupt(Leaf::IOMMU_SETUP, 2)?;
            emu.fail(Leaf::IOMMU_SETUP, 2, 2, status, Fault::Before)?;
            let attached = Attached::new(iommu_only(&dmar))?;
            expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (5, 1));
            let balance = attached.kernel().users().iommu.account().balance();
            expect_eq!(balance.held, TABLE_PAGES);
            drop(attached);
            let balance = emu.balance()?;
            expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        }
        Ok(())
    }

    #[test]
    fn left_interrupted_is_neither_proved_nor_followed() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        emu.interrupt(Leaf::IOMMU_SETUP, u64::from(u32::MAX))?;
        let attached = Attached::new(iommu_only(&dmar))?;
        let kernel = attached.kernel().clone();
        // The first unit's pages may still be taken; the second unit was not even tried.
        let balance = kernel.users().iommu.account().balance();
        expect_eq!((balance.quarantined, balance.held), (TABLE_PAGES, 0));
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (0, 0));
        drop(attached);
        // At unload it is still interrupted: nothing is put to the proof, nothing is freed.
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (0, 0));
        let balance = kernel.users().iommu.account().balance();
        expect_eq!((balance.lost, balance.released), (TABLE_PAGES, 0));
        // No other leaf was called in between with other operands.
        expect_eq!(emu.balance()?.host_bugs, 0);
        Ok(())
    }

    #[test]
    fn left_interrupted_and_ended_at_unload() -> Result {
        let dmar = dmar(&UNITS[..1])?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        emu.interrupt(Leaf::IOMMU_SETUP, u64::from(u32::MAX))?;
        let attached = Attached::new(iommu_only(&dmar))?;
        let kernel = attached.kernel().clone();
        emu.interrupt(Leaf::IOMMU_SETUP, 0)?;
        emu.fail(
            Leaf::IOMMU_SETUP,
            1,
            1,
            Status::IOMMU_INVALID_STATE,
            Fault::Before,
        )?;
        drop(attached);
        // The leaf has ended, so the proof may decide: the pages were not taken.
        let balance = kernel.users().iommu.account().balance();
        expect_eq!((balance.lost, balance.released), (0, TABLE_PAGES));
        expect_eq!(emu.balance()?.host_bugs, 0);
        Ok(())
    }

    #[test]
    fn set_up_so_late_that_it_is_undone() -> Result {
        let dmar = dmar(&UNITS[..1])?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        emu.interrupt(Leaf::IOMMU_SETUP, u64::from(u32::MAX))?;
        let attached = Attached::new(iommu_only(&dmar))?;
        let kernel = attached.kernel().clone();
        emu.interrupt(Leaf::IOMMU_SETUP, 0)?;
        drop(attached);
        // Resumed at unload it succeeds: the IOMMU is cleared at once, and its pages are proved.
        expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (1, 1));
        let account = kernel.users().iommu.account().balance();
        expect_eq!((account.lost, account.released), (0, TABLE_PAGES));
        let balance = emu.balance()?;
        expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn clear_left_interrupted_is_not_put_to_the_proof() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let attached = Attached::new(iommu_only(&dmar))?;
        let kernel = attached.kernel().clone();
        emu.interrupt(Leaf::IOMMU_CLEAR, u64::from(u32::MAX))?;
        drop(attached);
        let account = kernel.users().iommu.account().balance();
        expect_eq!(account.lost, 2 * TABLE_PAGES);
        // The pages of the one that was left are not touched. The other was not called for, and
        // the proof of its pages says that they are owned.
        let pages = u64::try_from(TABLE_PAGES)?;
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (pages, 0));
        expect_eq!(emu.balance()?.host_bugs, 0);
        Ok(())
    }

    #[test]
    fn busy_is_tried_again() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        emu.fail(Leaf::IOMMU_SETUP, 1, 3, Status::OPERAND_BUSY, Fault::Before)?;
        emu.fail(
            Leaf::IOMMU_CLEAR,
            1,
            3,
            Status::IOMMU_ECMD_TIMEOUT,
            Fault::Before,
        )?;
        drop(Attached::new(iommu_only(&dmar))?);
        expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (5, 2));
        expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (5, 2));
        let balance = emu.balance()?;
        expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn a_note_beside_success_is_success() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let note = Status::from_raw(5);
        emu.fail(Leaf::IOMMU_SETUP, 1, 1, note, Fault::After)?;
        emu.fail(Leaf::IOMMU_CLEAR, 1, 1, note, Fault::After)?;
        let attached = Attached::new(iommu_only(&dmar))?;
        let balance = attached.kernel().users().iommu.account().balance();
        expect_eq!(balance.held, 2 * TABLE_PAGES);
        drop(attached);
        let balance = emu.balance()?;
        expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn clear_fails() -> Result {
        let dmar = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let attached = Attached::new(iommu_only(&dmar))?;
        let kernel = attached.kernel().clone();
        emu.fail(
            Leaf::IOMMU_CLEAR,
            1,
            1,
            Status::IOMMU_INVALID_STATE,
            Fault::Before,
        )?;
        drop(attached);
        let account = kernel.users().iommu.account().balance();
        // The other was cleared; this one's pages are lost, and said to be.
        expect_eq!(account.released, TABLE_PAGES);
        expect_eq!(account.lost, TABLE_PAGES);
        expect_eq!(emu.balance()?.owned, u64::try_from(TABLE_PAGES)?);
        expect_eq!((account.held, account.quarantined), (0, 0));
        Ok(())
    }

    #[test]
    fn clear_keeps_pages() -> Result {
        let dmar = dmar(&UNITS[..1])?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let attached = Attached::new(iommu_only(&dmar))?;
        emu.keep_all()?;
        let kernel = attached.kernel().clone();
        drop(attached);
        // Not one page passed its proof after CLEAR. At the last try they are asked for one by
        // one, as a TDX Module of the preview wants it, and pass.
        let pages = u64::try_from(TABLE_PAGES)?;
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (2 * pages, pages));
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_RECLAIM)?, (pages, pages));
        let account = kernel.users().iommu.account().balance();
        expect_eq!((account.released, account.lost), (TABLE_PAGES, 0));
        let balance = emu.balance()?;
        expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn clear_gives_back_another_list() -> Result {
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let kernel = Kernel::new(KEYID, Delta::from_millis(50))?;
        let (first, first_id) = set_up(&kernel, UNITS[0])?;
        let (second, second_id) = set_up(&kernel, UNITS[1])?;
        // The ids are mixed up, so the list that comes back is that of the other IOMMU. What the
        // first call was about is owned still.
        let kept = settled(&kernel, first, second_id)?;
        expect_eq!(kept.cause.why, Why::WrongList);
        expect_eq!((kept.freed, kept.quarantined), (0, TABLE_PAGES));
        // And what the second was about has been let go by the first.
        let freed = settled(&kernel, second, first_id)?;
        expect_eq!(freed.cause.why, Why::WrongList);
        expect_eq!((freed.freed, freed.quarantined), (TABLE_PAGES, 0));
        expect_eq!(kernel.close().lost, 0);
        let account = kernel.users().iommu.account().balance();
        expect_eq!((account.released, account.lost), (2 * TABLE_PAGES, 0));
        let balance = emu.balance()?;
        expect_eq!((balance.owned, balance.dirty, balance.host_bugs), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn patience_is_worn_out_once() -> Result {
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        let kernel = Kernel::new(KEYID, Delta::from_millis(50))?;
        let busy = |times| {
            let status = Status::OPERAND_BUSY;
            emu.fail(Leaf::IOMMU_SETUP, 1, times, status, Fault::Before)
        };
        let calls_in_vain = || -> Result<u64> {
            let (before, _) = emu.calls(Leaf::IOMMU_SETUP)?;
            expect!(set_up(&kernel, UNITS[0]).is_err());
            Ok(emu.calls(Leaf::IOMMU_SETUP)?.0 - before)
        };
        busy(u64::MAX)?;
        expect!(calls_in_vain()? > 1);
        // The next ones have one try each, until one of them comes to its end.
        expect_eq!(calls_in_vain()?, 1);
        expect_eq!(calls_in_vain()?, 1);
        busy(0)?;
        drop(set_up(&kernel, UNITS[1])?);
        busy(u64::MAX)?;
        expect!(calls_in_vain()? > 1);
        emu.reset()?;
        expect_eq!(kernel.close().lost, 0);
        expect_eq!(emu.balance()?.host_bugs, 0);
        Ok(())
    }

    #[test]
    fn broken_tables() -> Result {
        let good = dmar(&UNITS)?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        // Cut short anywhere, with the length left as it was.
        for len in 0..good.len() {
            refused(&emu, iommu_only(&good[..len]), EINVAL)?;
        }
        // A structure of length 0.
        let mut zero = dmar(&UNITS)?;
        zero[50] = 0;
        refused(&emu, iommu_only(&zero), EINVAL)?;
        // A table without structures is no error: there is nothing to set up.
        drop(Attached::new(iommu_only(&dmar(&[])?))?);
        expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (0, 0));
        Ok(())
    }

    #[test]
    fn a_unit_listed_twice_is_set_up_once() -> Result {
        let dmar = dmar(&[UNITS[0], UNITS[1], UNITS[0]])?;
        let Some(emu) = begin(0)? else {
            return Ok(());
        };
        drop(Attached::new(iommu_only(&dmar))?);
        expect_eq!(emu.calls(Leaf::IOMMU_SETUP)?, (2, 2));
        expect_eq!(emu.calls(Leaf::IOMMU_CLEAR)?, (2, 2));
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Releasing, page by page.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_release)]
mod tests {
    use super::super::*;

    #[test]
    fn every_answer_of_the_tdx_module_arrives() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let memory = Blocks::new(1, Node::Any)?;
        let page = memory.hpas().next().ok_or(EIO)?;
        let own = [Status::UD, Status::GP, Status::VMFAILINVALID];
        let all = Status::ALL.iter().copied();
        for status in Iterator::chain(all, own) {
            // The kernel calls again for want of entropy, so it does not end by itself.
            emu.fail(Leaf::PHYMEM_PAGE_RDMD, 1, u64::MAX, status, Fault::Before)?;
            let told = kernel.seam().phymem_page_rdmd(page);
            expect_eq!(told.err().unwrap_or(Status::SUCCESS), status);
            emu.heal(Leaf::PHYMEM_PAGE_RDMD)?;
        }
        expect_eq!(kernel.seam().phymem_page_rdmd(page).is_ok(), true);
        kernel.close();
        Ok(())
    }

    #[test]
    fn held_then_released_by_reset() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        for pages in [1, 2, 511, 512] {
            let held = held(&kernel, pages)?;
            expect_eq!(balance(&kernel).held, pages);
            expect_eq!(emu.balance()?.pool, u64::try_from(pages)?);
            // No leaf gives pool pages back; the software TDX Module forgets them.
            emu.reset()?;
            let memory = held
                .release(LEAF, |_| said(Status::SUCCESS))
                .map_err(|_| EIO)?;
            expect_eq!(memory.pages(), pages);
            let (wbinvd, _) = emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?;
            expect_eq!(wbinvd, u64::try_from(pages)?);
            expect_eq!(balance(&kernel).held, 0);
        }
        let all = 1 + 2 + 511 + 512;
        expect_eq!(balance(&kernel).handed_over, all);
        expect_eq!(balance(&kernel).released, all);
        Ok(())
    }

    #[test]
    fn what_the_tdx_module_says_of_pages() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let memory = Blocks::new(3, Node::Any)?;
        let page = memory.hpas().next().ok_or(EINVAL)?;
        let kind = || {
            kernel
                .seam()
                .phymem_page_rdmd(page)
                .map(|found| found.page_type)
        };
        expect_eq!(kind(), Ok(0));
        let held = hand_over(&kernel, &owner(&kernel), memory, LEAF, |m| take(&kernel, m));
        let held = held.map_err(|_| EIO)?;
        expect!(matches!(kind(), Ok(kind) if kind != 0));
        emu.reset()?;
        expect_eq!(kind(), Ok(0));
        let memory = held.release(LEAF, |_| said(Status::SUCCESS));
        expect_eq!(memory.ok().ok_or(EIO)?.pages(), 3);
        Ok(())
    }

    #[test]
    fn failed_release_stays_held() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let first = held(&kernel, 3)?;
        let (second, status) = match first.release(LEAF, |_| said(Status::OPERAND_BUSY)) {
            Err(ReleaseError::StillHeld(held, status)) => (held, status),
            _ => return Err(EIO),
        };
        expect_eq!(status, Status::OPERAND_BUSY);
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (0, 0));
        expect_eq!(balance(&kernel).held, 3);
        emu.reset()?;
        let memory = second
            .release(LEAF, |_| said(Status::SUCCESS))
            .map_err(|_| EIO)?;
        expect_eq!(memory.pages(), 3);
        Ok(())
    }

    #[test]
    fn success_while_owned_frees_nothing() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let held = held(&kernel, 7)?;
        match held.release(LEAF, |_| said(Status::SUCCESS)) {
            Err(ReleaseError::Settled(settled)) => {
                expect_eq!((settled.freed, settled.quarantined), (0, 7));
                expect_eq!(settled.cause.why, Why::NotProved);
                let first = settled.cause.unproved.ok_or(EIO)?;
                expect_eq!(first.index, 0);
                expect_eq!(first.status.masked(), Status::PAGE_METADATA_INCORRECT);
            }
            _ => return Err(EIO),
        }
        emu.reset()?;
        expect_eq!(kernel.close().lost, 0);
        Ok(())
    }

    #[test]
    fn a_page_decides_for_itself_only() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let held = held(&kernel, 21)?;
        emu.reset()?;
        // The proofs of pages 9, 10 and 11, in the first block of 16, fail once each.
        emu.fail(
            Leaf::PHYMEM_PAGE_WBINVD,
            10,
            3,
            Status::OPERAND_BUSY,
            Fault::Before,
        )?;
        match held.release(LEAF, |_| said(Status::SUCCESS)) {
            Err(ReleaseError::Settled(settled)) => {
                expect_eq!((settled.freed, settled.quarantined), (18, 3));
                expect_eq!(settled.cause.unproved.map(|page| page.index), Some(9));
            }
            _ => return Err(EIO),
        }
        expect_eq!(balance(&kernel).quarantined, 3);
        expect_eq!(balance(&kernel).released, 18);
        expect_eq!(kernel.close().lost, 0);
        expect_eq!(balance(&kernel).released, 21);
        Ok(())
    }

    #[test]
    fn a_page_decides_whatever_its_block() -> Result {
        // Single pages, pairs, and one block of 64: the same pages stay.
        for largest in [1, 2, 64] {
            let Some(emu) = Emu::begin() else {
                return Ok(());
            };
            let kernel = kernel()?;
            let memory = Blocks::no_larger_than(largest, 64, Node::Any)?;
            let held = hand_over(&kernel, &owner(&kernel), memory, LEAF, |m| take(&kernel, m));
            let held = held.map_err(|_| EIO)?;
            emu.reset()?;
            emu.fail(
                Leaf::PHYMEM_PAGE_WBINVD,
                2,
                5,
                Status::OPERAND_BUSY,
                Fault::Before,
            )?;
            match held.release(LEAF, |_| said(Status::SUCCESS)) {
                Err(ReleaseError::Settled(settled)) => {
                    expect_eq!((settled.freed, settled.quarantined), (59, 5));
                    expect_eq!(settled.cause.unproved.map(|page| page.index), Some(1));
                }
                _ => return Err(EIO),
            }
            expect_eq!(kernel.retry().freed, 5);
        }
        Ok(())
    }

    #[test]
    fn wrong_list_frees_what_is_proved() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let held = held(&kernel, 6)?;
        emu.reset()?;
        let wrong = held.release(LEAF, |_| said(Status::SUCCESS).with_list(false));
        match wrong {
            Err(ReleaseError::Settled(settled)) => {
                expect_eq!((settled.freed, settled.quarantined), (6, 0));
                expect_eq!(settled.cause.why, Why::WrongList);
            }
            _ => return Err(EIO),
        }
        Ok(())
    }

    #[test]
    fn reclaim_of_pages_that_are_free() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let held = held(&kernel, 4)?;
        emu.reset()?;
        // RECLAIM of a free page fails, and the proof says that it is free all the same.
        let memory = held.release_by_reclaim().map_err(|_| EIO)?;
        expect_eq!(memory.pages(), 4);
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_RECLAIM)?, (4, 0));
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (4, 4));
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Lending for one leaf.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_lend)]
mod tests {
    use super::super::*;

    #[test]
    fn listed_for_a_call_and_back() -> Result {
        let kernel = kernel()?;
        for pages in [1, 2, 511, 512] {
            let memory = Blocks::new(pages, Node::Any)?;
            let mut right = false;
            let lent = lend(&kernel, &owner(&kernel), memory, LEAF, |shared| {
                let listed = match shared.list_rest(kernel.root()) {
                    Ok(listed) => listed,
                    Err(answer) => return answer,
                };
                let word = listed.array().map_or(0, |array| array.raw());
                // The root page still holds the list, as when a TDX Module does not write to it.
                right = usize::try_from(word >> 55) == Ok(pages - 1)
                    && (listed.aux() == 0) == (pages == 1)
                    && listed.check(word).is_ok();
                said(Status::SUCCESS)
            });
            let Ok((memory, status)) = lent else {
                return Err(EIO);
            };
            expect!(right && status.is_success());
            expect_eq!(memory.pages(), pages);
            // It is the host's: it can be mapped.
            expect_eq!(memory.map()?.len(), pages * 4096);
        }
        expect_eq!(balance(&kernel), Balance::default());
        Ok(())
    }

    #[test]
    fn whatever_it_answered_it_is_back_without_a_proof() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        for status in [BROKEN, Status::OPERAND_BUSY, Status::UD] {
            let memory = Blocks::new(3, Node::Any)?;
            let lent = lend(&kernel, &owner(&kernel), memory, LEAF, |_| said(status));
            expect!(matches!(lent, Ok((_, same)) if same == status));
        }
        // More than a list can tell: the leaf is not called.
        let memory = Blocks::new(513, Node::Any)?;
        let lent = lend(
            &kernel,
            &owner(&kernel),
            memory,
            LEAF,
            |shared| match shared.list_rest(kernel.root()) {
                Ok(_) => said(Status::SUCCESS),
                Err(answer) => answer,
            },
        );
        expect!(matches!(lent, Ok((memory, status))
            if memory.pages() == 513 && status == Status::OPERAND_INVALID));
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (0, 0));
        expect_eq!(balance(&kernel), Balance::default());
        Ok(())
    }

    #[test]
    fn left_interrupted_it_stays_away() -> Result {
        let Some(_emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let memory = Blocks::new(3, Node::Any)?;
        let lent = lend(&kernel, &owner(&kernel), memory, LEAF, |_| {
            Answer::given_up(Status::INTERRUPTED_RESUMABLE)
        });
        match lent {
            Err(LendError::Settled(settled)) => {
                expect_eq!((settled.freed, settled.quarantined), (0, 3));
                expect_eq!(settled.cause.why, Why::Abandoned);
            }
            _ => return Err(EIO),
        }
        expect_eq!(balance(&kernel).quarantined, 3);
        // No leaf is left interrupted, so now they may be put to the proof.
        expect_eq!(kernel.retry().freed, 3);
        Ok(())
    }

    #[test]
    fn not_when_nothing_may_be_entered() -> Result {
        let Some(_emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let _ = kernel.close();
        let memory = Blocks::new(3, Node::Any)?;
        let mut called = false;
        let lent = lend(&kernel, &owner(&kernel), memory, LEAF, |_| {
            called = true;
            said(Status::SUCCESS)
        });
        expect!(
            matches!(lent, Err(LendError::Refused(memory, Refusal::Closed))
            if memory.pages() == 3)
        );
        expect!(!called);
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What does not come back at once, or never.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_quarantine)]
mod tests {
    use super::super::*;

    #[test]
    fn dropped_or_forgotten_is_not_lost() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        drop(held(&kernel, 2)?);
        core::mem::forget(held(&kernel, 3)?);
        expect_eq!(
            (balance(&kernel).quarantined, balance(&kernel).held),
            (2, 3)
        );
        emu.reset()?;
        expect_eq!(kernel.close().lost, 0);
        expect_eq!(balance(&kernel).released, 5);
        Ok(())
    }

    #[test]
    fn what_is_never_proved_is_said_to_be_lost() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        drop(held(&kernel, 2)?);
        core::mem::forget(held(&kernel, 1)?);
        emu.reset()?;
        emu.fail(
            Leaf::PHYMEM_PAGE_WBINVD,
            1,
            2,
            Status::PAGE_METADATA_INCORRECT,
            Fault::Before,
        )?;
        let remains = kernel.close();
        // Two proofs of three fail, whichever record came first; the two pages are lost to this
        // test as well.
        expect_eq!(remains.lost, 2);
        expect_eq!((balance(&kernel).lost, balance(&kernel).released), (2, 1));
        Ok(())
    }

    #[test]
    fn lost_whatever_the_cause() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        quarantine(&emu, &kernel, 1)?;
        for why in [Why::ReleaseFailed, Why::WrongId] {
            held(&kernel, 1)?.quarantine(why, LEAF, BROKEN);
        }
        for list_ok in [true, false] {
            // The software TDX Module has the page still.
            let released =
                held(&kernel, 1)?.release(LEAF, |_| said(Status::SUCCESS).with_list(list_ok));
            expect!(matches!(released, Err(ReleaseError::Settled(_))));
        }
        // These pages are lost to this test as well.
        expect_eq!(kernel.close().lost, 5);
        expect_eq!(balance(&kernel).lost, 5);
        Ok(())
    }

    #[test]
    fn handle_outlives_the_ledger() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let held = held(&kernel, 3)?;
        emu.reset()?;
        expect_eq!(kernel.close().lost, 0);
        expect_eq!((balance(&kernel).released, balance(&kernel).held), (3, 0));
        drop(held);
        expect_eq!(
            (balance(&kernel).quarantined, balance(&kernel).held),
            (0, 0)
        );
        Ok(())
    }

    #[test]
    fn closed_while_somebody_works_on_a_record() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let memory = Blocks::new(4, Node::Any)?;
        let mut remains = None;
        let held = hand_over(&kernel, &owner(&kernel), memory, LEAF, |m| {
            let answer = take(&kernel, m);
            remains = Some(kernel.close());
            answer
        });
        // The last try came when the memory was put back: its pages were owned, and are lost.
        expect!(held.is_ok());
        expect_eq!(remains.ok_or(EIO)?.lost, 0);
        expect_eq!((balance(&kernel).lost, balance(&kernel).held), (4, 0));
        expect_eq!(emu.balance()?.pool, 4);
        drop(held);
        expect_eq!(
            (balance(&kernel).lost, balance(&kernel).quarantined),
            (4, 0)
        );
        Ok(())
    }

    #[test]
    fn busy_at_the_last_try_is_not_the_end() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        core::mem::forget(held(&kernel, 3)?);
        emu.reset()?;
        emu.fail(
            Leaf::PHYMEM_PAGE_WBINVD,
            1,
            4,
            Status::OPERAND_BUSY,
            Fault::Before,
        )?;
        expect_eq!(kernel.close().lost, 0);
        expect_eq!(balance(&kernel).released, 3);
        Ok(())
    }

    #[test]
    fn tried_again_on_request() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        quarantine(&emu, &kernel, 5)?;
        quarantine(&emu, &kernel, 3)?;
        drop(held(&kernel, 2)?);
        for _ in 0..3 {
            let round = kernel.retry();
            expect_eq!((round.freed, round.left), (0, 10));
        }
        // Counted once, however often they are tried.
        expect_eq!(balance(&kernel).quarantined_ever, 10);
        emu.reset()?;
        emu.fail(
            Leaf::PHYMEM_PAGE_WBINVD,
            1,
            1,
            Status::OPERAND_BUSY,
            Fault::Before,
        )?;
        let round = kernel.retry();
        expect_eq!((round.freed, round.left), (9, 1));
        let round = kernel.retry();
        expect_eq!((round.freed, round.left), (1, 0));
        expect_eq!(kernel.retry().left, 0);
        let balance = balance(&kernel);
        expect_eq!((balance.quarantined, balance.quarantined_ever), (0, 10));
        expect_eq!((balance.proved_later, balance.released), (10, 10));
        Ok(())
    }

    #[test]
    fn tried_again_by_itself() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        quarantine(&emu, &kernel, 4)?;
        emu.reset()?;
        let begin = Instant::<Monotonic>::now();
        while balance(&kernel).quarantined > 0 && begin.elapsed() < Delta::from_secs(20) {
            fsleep(Delta::from_millis(50));
        }
        expect_eq!(balance(&kernel).proved_later, 4);
        // Not at once, but after a pause.
        expect!(begin.elapsed() > Delta::from_millis(500));
        Ok(())
    }
}

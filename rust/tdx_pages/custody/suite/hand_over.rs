// SPDX-License-Identifier: GPL-2.0

//! Handing over.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_hand_over)]
mod tests {
    use super::super::*;

    #[test]
    fn not_executed_needs_no_proof() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        for status in [
            Status::UD,
            Status::GP,
            Status::VMFAILINVALID,
            Status::SYS_SHUTDOWN,
            Status::SYS_NOT_READY,
            Status::OPERAND_INVALID,
        ] {
            let memory = Blocks::new(3, Node::Any)?;
            let back = hand_over(&kernel, &owner(&kernel), memory, LEAF, |_| said(status));
            match back {
                Err(HandOverError::Back(memory, same)) => {
                    expect_eq!(memory.pages(), 3);
                    expect_eq!(same, status);
                }
                _ => return Err(EIO),
            }
        }
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (0, 0));
        expect_eq!(balance(&kernel), Balance::default());
        Ok(())
    }

    #[test]
    fn failed_without_effect_is_proved() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        emu.fail(LEAF, 1, 1, BROKEN, Fault::Before)?;
        let memory = Blocks::new(5, Node::Any)?;
        let back = hand_over(&kernel, &owner(&kernel), memory, LEAF, |m| take(&kernel, m));
        expect!(matches!(
            back,
            Err(HandOverError::Back(_, status)) if status == BROKEN
        ));
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (5, 5));
        Ok(())
    }

    #[test]
    fn failed_with_effect_is_quarantined() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        emu.fail(LEAF, 1, 1, BROKEN, Fault::After)?;
        let memory = Blocks::new(5, Node::Any)?;
        let kept = hand_over(&kernel, &owner(&kernel), memory, LEAF, |m| take(&kernel, m));
        match kept {
            Err(HandOverError::Settled(settled)) => {
                expect_eq!((settled.freed, settled.quarantined), (0, 5));
                expect_eq!(settled.cause.why, Why::HandOverFailed);
            }
            _ => return Err(EIO),
        }
        expect_eq!(balance(&kernel).quarantined, 5);
        emu.reset()?;
        let remains = kernel.close();
        expect_eq!((remains.lost, remains.held_for_good), (0, 0));
        expect_eq!(balance(&kernel).released, 5);
        Ok(())
    }

    #[test]
    fn not_executed_after_busy_needs_the_proof() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        // It took the pages, said that it was busy, and the next call met a CPU without VMX.
        let memory = Blocks::new(4, Node::Any)?;
        let kept = hand_over(&kernel, &owner(&kernel), memory, LEAF, |m| {
            take(&kernel, m);
            Answer::failed(Status::UD)
        });
        expect!(matches!(
            kept,
            Err(HandOverError::Settled(settled)) if settled.quarantined == 4
        ));
        emu.reset()?;
        expect_eq!(kernel.retry().freed, 4);
        Ok(())
    }

    #[test]
    fn given_up_while_interrupted_is_abandoned() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let memory = Blocks::new(4, Node::Any)?;
        let kept = hand_over(&kernel, &owner(&kernel), memory, LEAF, |_| {
            Answer::given_up(Status::INTERRUPTED_RESUMABLE)
        });
        match kept {
            Err(HandOverError::Settled(settled)) => {
                expect_eq!((settled.freed, settled.quarantined), (0, 4));
                expect_eq!(settled.cause.why, Why::Abandoned);
            }
            _ => return Err(EIO),
        }
        // Not one page was put to the proof. The seam knows of no leaf that could still be
        // resumed, so at the last try they are.
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (0, 0));
        expect_eq!(kernel.close().lost, 0);
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (4, 4));
        Ok(())
    }

    #[test]
    fn closed_ledger_refuses() -> Result {
        let Some(_emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        kernel.close();
        let memory = Blocks::new(1, Node::Any)?;
        let mut called = false;
        let refused = hand_over(&kernel, &owner(&kernel), memory, LEAF, |_| {
            called = true;
            said(Status::SUCCESS)
        });
        expect!(matches!(refused, Err(HandOverError::Refused(_, _))));
        expect!(!called);
        Ok(())
    }

    #[test]
    fn nothing_is_called_when_the_system_goes_down() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let held = held(&kernel, 3)?;
        kernel.seam().go_down();
        let memory = Blocks::new(2, Node::Any)?;
        let refused = hand_over(&kernel, &owner(&kernel), memory, LEAF, |m| take(&kernel, m));
        expect!(matches!(
            refused,
            Err(HandOverError::Refused(_, Refusal::Down))
        ));
        let before = emu.calls(LEAF)?;
        let held = held.release(LEAF, |m| take(&kernel, m));
        expect!(matches!(held, Err(ReleaseError::StillHeld(..))));
        drop(held);
        expect_eq!(kernel.retry().left, 3);
        expect_eq!(kernel.close().lost, 3);
        expect_eq!(emu.calls(LEAF)?, before);
        expect_eq!(emu.calls(Leaf::PHYMEM_PAGE_WBINVD)?, (0, 0));
        Ok(())
    }

    #[test]
    fn list_words_that_cannot_be() -> Result {
        let Some(_emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        let interrupted = Status::INTERRUPTED_RESUMABLE;
        let stalled = fed(&kernel, 10, |word| (interrupted, word))?;
        expect_eq!(stalled.stopped, Some(Stopped::Stalled));
        let past = fed(&kernel, 10, |word| (interrupted, word.with_first(10)))?;
        expect!(matches!(past.stopped, Some(Stopped::Word(_))));
        let mut calls = 0;
        let backwards = fed(&kernel, 10, |word| {
            calls += 1;
            let first = if calls == 1 { 5 } else { 2 };
            (interrupted, word.with_first(first))
        })?;
        expect!(matches!(backwards.stopped, Some(Stopped::Word(_))));
        let other = HpaListInfo::new(
            Entries::new(10).ok_or(EINVAL)?,
            crate::abi::Hpa::from_bits(0),
        );
        let changed = fed(&kernel, 10, |_| (interrupted, other.with_first(3)))?;
        expect!(matches!(changed.stopped, Some(Stopped::Word(_))));
        // Nothing was taken, which the proof found out; but what a plausible word said was taken
        // is held.
        for fed in [stalled, past, changed] {
            expect_eq!((fed.held, fed.freed), (0, 10));
        }
        expect_eq!((backwards.held, backwards.freed), (5, 5));
        expect_eq!(kernel.recover(), 5);
        Ok(())
    }

    #[test]
    fn held_for_good_is_no_loss() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        held(&kernel, 9)?.hold_for_good();
        expect_eq!(balance(&kernel).held_for_good, 9);
        expect_eq!(balance(&kernel).held, 0);
        emu.reset()?;
        expect_eq!(kernel.recover(), 9);
        Ok(())
    }

    #[test]
    fn pages_above_4_gib() -> Result {
        let Some(emu) = Emu::begin() else {
            return Ok(());
        };
        let kernel = kernel()?;
        // The second node is the one with high addresses; a machine with less than 3 GiB has none.
        let memory = Blocks::new(512, Node::Id(1))?;
        let above = memory.hpas().filter(|hpa| hpa.get() >= 1 << 32).count();
        expect!(above == 512 || crate::mm::available_pages() < 0xa_0000);
        pr_info!("{} pages above 4 GiB are handed over\n", above);
        let held = hand_over(&kernel, &owner(&kernel), memory, LEAF, |m| take(&kernel, m));
        let held = held.map_err(|_| EIO)?;
        expect_eq!(emu.balance()?.pool, 512);
        emu.reset()?;
        let memory = held
            .release(LEAF, |_| said(Status::SUCCESS))
            .map_err(|_| EIO)?;
        expect_eq!(memory.pages(), 512);
        expect_eq!(emu.balance()?.host_bugs, 0);
        Ok(())
    }

    #[test]
    fn bookkeeping() -> Result {
        use crate::custody::record::Record;

        for pages in [1, 512, 12_800, 262_144] {
            // Half of the memory of a small machine is too much to ask for.
            if u64::try_from(pages)? > crate::mm::available_pages() / 2 {
                continue;
            }
            let memory = Blocks::new(pages, Node::Any)?;
            let bits = Lent::<Kernel>::words(pages) * size_of::<u64>();
            let list = memory.bookkeeping();
            let blocks = memory.blocks().len();
            pr_info!(
                "bookkeeping of {} pages in {} blocks: record {}, list {}, bits {} bytes\n",
                pages,
                blocks,
                size_of::<Record>(),
                list,
                bits
            );
            expect!(bits <= pages / 8 + 8);
            // Room for growth is given back.
            expect!(list <= blocks * 8 + 64);
            // What lockdep and its like add is theirs.
            if !cfg!(CONFIG_DEBUG_LOCK_ALLOC) {
                // With its count.
                expect!(size_of::<Record>() + 8 <= 256);
            }
        }
        Ok(())
    }
}

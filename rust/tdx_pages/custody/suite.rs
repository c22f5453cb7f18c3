// SPDX-License-Identifier: GPL-2.0

//! The transitions on real memory, through the real SEAMCALL path.

use kernel::prelude::*;

#[kunit_tests(tdx_pages_custody)]
mod tests {
    use crate::abi::{
        list::{
            Entries,
            HpaListInfo, //
        },
        Leaf,
        Status, //
    };
    use crate::custody::{
        feed::{
            hand_over_for_good,
            Stopped, //
        },
        lent::Lent,
        memory::{
            Memory,
            Platform,
            PublishedRoot,
            Refusal,
            RootPage, //
        },
        transitions::{
            hand_over,
            Answer,
            HandOverError,
            Held,
            ReleaseError,
            Why, //
        }, //
    };
    use crate::emu::{
        Emu,
        Fault,
        KEYID, //
    };
    use crate::mm::{
        blocks::Node,
        Blocks, //
    };
    use crate::platform::Kernel;
    use crate::users::registry::{
        Balance,
        Owner, //
    };
    use kernel::{
        prelude::*,
        time::{
            delay::fsleep,
            Delta,
            Instant,
            Monotonic, //
        }, //
    };

    /// A leaf without any meaning: the pages are taken by TDH.EXT.MEM.ADD, whose answer stands
    /// for that of any leaf that takes all or nothing.
    const LEAF: Leaf = Leaf::EXT_MEM_ADD;

    /// A status that no leaf is tried again after.
    const BROKEN: Status = Status::CONNECT_INVALID_STATE;

    fn kernel() -> Result<Kernel> {
        Kernel::new(KEYID, false, Delta::from_secs(1))
    }

    fn owner(kernel: &Kernel) -> Owner {
        Owner::new(&kernel.users().ext_pool)
    }

    fn balance(kernel: &Kernel) -> Balance {
        kernel.users().ext_pool.account().balance()
    }

    /// What a leaf answered, or would have.
    fn said(status: Status) -> Answer {
        // SAFETY: The tests let the software TDX Module own pages of which they say that it does
        // not, to see that the proof finds out; it is told to forget them afterwards.
        unsafe { Answer::ended(status) }
    }

    /// Gives pages to the software TDX Module, by one list.
    fn take(kernel: &Kernel, memory: &Blocks) -> Answer {
        let mut root = kernel.root();
        let Some(entries) = root.fill(memory.hpas().map(|hpa| hpa.get())) else {
            return said(Status::OPERAND_INVALID);
        };
        let root = root.publish();
        said(
            kernel
                .seam()
                .ext_mem_add(HpaListInfo::new(entries, root.hpa()))
                .0,
        )
    }

    fn held(kernel: &Kernel, pages: usize) -> Result<Held<Blocks, Kernel>> {
        let memory = Blocks::new(pages, Node::Any)?;
        hand_over(kernel, &owner(kernel), memory, LEAF, |m| take(kernel, m)).map_err(|_| EIO)
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
        expect_eq!(status.status(), Status::OPERAND_BUSY);
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
        let wrong = said(Status::SUCCESS).with_list(false);
        match held.release(LEAF, |_| wrong) {
            Err(ReleaseError::Settled(settled)) => {
                expect_eq!((settled.freed, settled.quarantined), (6, 0));
                expect_eq!(settled.cause.why, Why::WrongList);
            }
            _ => return Err(EIO),
        }
        Ok(())
    }

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
            Status::OPERAND_BUSY,
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

    /// Lets a hand-over of `pages` pages fail after the software TDX Module took them.
    fn quarantine(emu: &Emu, kernel: &Kernel, pages: usize) -> Result {
        emu.fail(LEAF, 1, 1, BROKEN, Fault::After)?;
        let memory = Blocks::new(pages, Node::Any)?;
        match hand_over(kernel, &owner(kernel), memory, LEAF, |m| take(kernel, m)) {
            Err(HandOverError::Settled(settled)) if settled.quarantined == pages => Ok(()),
            _ => Err(EIO),
        }
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
                expect!(size_of::<Record>() <= 256);
            }
        }
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

    /// Feeds `pages` pages to a made-up TDX Module that answers from `answers`, then with
    /// success. Pages are never really taken.
    fn fed(
        kernel: &Kernel,
        pages: usize,
        mut answer: impl FnMut(HpaListInfo) -> (Status, HpaListInfo),
    ) -> Result<crate::custody::feed::Fed> {
        let memory = Blocks::new(pages, Node::Any)?;
        hand_over_for_good(kernel, &owner(kernel), memory, |word| answer(word)).map_err(|_| EIO)
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
}

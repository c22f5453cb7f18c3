// SPDX-License-Identifier: GPL-2.0

//! Sweeps: in every whole life everything that can fail fails once, at every place.

use super::{
    answers::*,
    chance::*,
    lives::*,
    rounds::Rounds,
    *, //
};
use crate::bindings;
use crate::mm::scarce::Scarce;
use core::cell::Cell;

/// Pairs of things that fail, for each life: of a long run, and of a short one.
const PAIRS: usize = 2000;
const FEW_PAIRS: usize = 20;

/// Troubles that each SEAMCALL meets in a short run.
const SHARE: usize = 2;

/// Tells how those of one life went.
fn print(what: &str, life: Life, rounds: &Rounds) {
    pr_info!("sweep: {}: {:?}: {}\n", what, life, rounds);
}

/// One round; says which one it was if it fails.
fn round(what: &dyn core::fmt::Debug, lived: Result<Option<Lived>>) -> Result<Option<Lived>> {
    lived.inspect_err(|_| pr_err!("sweep: the round that failed: {:?}\n", what))
}

/// The calls of a life in which nothing goes wrong.
fn usual(life: Life) -> Result<Option<Calls>> {
    let (before, after) = (Cell::new([0; _]), Cell::new([0; _]));
    let begin = |emu: &Emu| calls(emu).map(|calls| before.set(calls));
    let end = |emu: &Emu| calls(emu).map(|calls| after.set(calls));
    let Some(lived) = live(life, begin, end, true)? else {
        return Ok(None);
    };
    expect_eq!((lived.well, lived.quarantined), (true, 0));
    let mut made: Calls = after.get();
    for (made, before) in made.iter_mut().zip(before.get()) {
        *made -= before;
    }
    Ok(Some(made))
}

fn heal(emu: &Emu) -> Result {
    Leaf::ALL.iter().try_for_each(|leaf| emu.heal(*leaf))
}

fn fail_allocation(nth: u32) {
    // SAFETY: No preconditions.
    unsafe { bindings::tdx_pages_test_fail_nth(nth) };
}

/// Ends that; whether one did fail.
fn allocation_failed() -> bool {
    // SAFETY: No preconditions.
    let left = unsafe { bindings::tdx_pages_test_fail_left() };
    fail_allocation(0);
    left == 0
}

/// Whether this kernel can do that.
fn can_fail() -> bool {
    // SAFETY: No preconditions.
    let can = unsafe { bindings::tdx_pages_test_can_fail() };
    if !can {
        pr_err!(
            "this kernel cannot let allocations fail: CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC\n"
        );
    }
    can
}

#[kunit_tests(tdx_pages_sweep)]
mod tests {
    use super::*;

    #[test]
    fn every_allocation_of_every_life() -> Result {
        expect!(can_fail());
        for life in Iterator::chain(SPEAKING.into_iter(), [Life::Array]) {
            let mut rounds = Rounds::default();
            for nth in 1.. {
                let failed = Cell::new(false);
                let begin = |_: &Emu| {
                    fail_allocation(nth);
                    Ok(())
                };
                let end = |_: &Emu| {
                    failed.set(allocation_failed());
                    Ok(())
                };
                let lived = live(life, begin, end, rounds.again());
                let Some(lived) = round(&(life, nth), lived)? else {
                    return Ok(());
                };
                // Taking down needs no memory, so nothing is in quarantine for the want of it.
                expect_eq!((life, nth, lived.quarantined), (life, nth, 0));
                if !failed.get() {
                    expect!(lived.well);
                    break;
                }
                rounds.count(lived);
            }
            print("allocation", life, &rounds);
            // Were none to fail, this would be no sweep.
            expect!(rounds.all > 5 && rounds.ill > 2);
        }
        Ok(())
    }

    #[test]
    fn at_most_so_many_pages() -> Result {
        for life in Iterator::chain(SPEAKING.into_iter(), [Life::Array]) {
            let mut rounds = Rounds::default();
            // Of an array the number of pages is no matter.
            let step = if life == Life::Array { 37 } else { 1 };
            for pages in (0..).step_by(step) {
                let scarce = Cell::new(None);
                let refused = Cell::new(0);
                let begin = |_: &Emu| {
                    scarce.set(Some(Scarce::at_most(pages)));
                    Ok(())
                };
                let end = |_: &Emu| {
                    refused.set(scarce.take().map_or(0, |scarce| scarce.refused()));
                    Ok(())
                };
                let lived = live(life, begin, end, rounds.again());
                let Some(lived) = round(&(life, pages), lived)? else {
                    return Ok(());
                };
                expect_eq!((life, pages, lived.quarantined), (life, pages, 0));
                if refused.get() == 0 {
                    expect!(lived.well);
                    break;
                }
                rounds.count(lived);
            }
            print("pages", life, &rounds);
            expect!(rounds.ill > 2);
        }
        Ok(())
    }

    #[test]
    fn no_large_blocks() -> Result {
        for life in Iterator::chain(SPEAKING.into_iter(), [Life::Array]) {
            let mut rounds = Rounds::default();
            for largest in [1, 2, 4] {
                let scarce = Cell::new(None);
                let begin = |_: &Emu| {
                    scarce.set(Some(Scarce::no_larger_than(largest)));
                    Ok(())
                };
                let end = |_: &Emu| {
                    drop(scarce.take());
                    Ok(())
                };
                let lived = live(life, begin, end, true);
                let Some(lived) = round(&(life, largest), lived)? else {
                    return Ok(());
                };
                expect_eq!((lived.well, lived.quarantined), (true, 0));
                rounds.count(lived);
            }
            print("no large blocks", life, &rounds);
        }
        Ok(())
    }

    #[test]
    fn every_seamcall_of_every_life() -> Result {
        for life in SPEAKING {
            let Some(usual) = usual(life)? else {
                return Ok(());
            };
            let mut rounds = Rounds::default();
            let mut turn = 0;
            for (leaf, calls) in Leaf::ALL.iter().copied().zip(usual) {
                for nth in 1..=calls {
                    for (n, trouble) in TROUBLES.into_iter().enumerate() {
                        // In a short run each call meets others than the one before.
                        let apart = TROUBLES.len() / SHARE;
                        let chosen = long() || n % apart == turn % apart;
                        if !(chosen && trouble.fits(leaf)) {
                            continue;
                        }
                        let made = Cell::new(0);
                        let begin = |emu: &Emu| trouble.at(emu, leaf, nth);
                        let end = |emu: &Emu| {
                            heal(emu)?;
                            emu.calls(leaf).map(|(calls, _)| made.set(calls))
                        };
                        let lived = live(life, begin, end, rounds.again());
                        let Some(lived) = round(&(life, leaf, nth, trouble), lived)? else {
                            return Ok(());
                        };
                        // It was met.
                        expect!(made.get() >= nth);
                        rounds.count(lived);
                    }
                    turn += 1;
                }
            }
            print("SEAMCALL", life, &rounds);
            expect!(rounds.ill > 10 && rounds.quarantined > 2);
        }
        Ok(())
    }

    #[test]
    fn an_allocation_and_a_seamcall() -> Result {
        expect!(can_fail());
        let mut random = Random::new(seed(), 0);
        for life in SPEAKING {
            let Some(usual) = usual(life)? else {
                return Ok(());
            };
            let mut rounds = Rounds::default();
            let most = if long() { PAIRS } else { FEW_PAIRS };
            while rounds.all < most {
                let place = random.below(Leaf::ALL.len());
                let trouble = TROUBLES[random.below(TROUBLES.len())];
                let leaf = Leaf::ALL[place];
                if usual[place] == 0 || !trouble.fits(leaf) {
                    continue;
                }
                let nth = 1 + random.below(usize::try_from(usual[place])?) as u64;
                let allocation = 1 + random.below(60) as u32;
                let begin = |emu: &Emu| {
                    trouble.at(emu, leaf, nth)?;
                    fail_allocation(allocation);
                    Ok(())
                };
                let end = |emu: &Emu| {
                    let _ = allocation_failed();
                    heal(emu)
                };
                let lived = live(life, begin, end, rounds.again());
                let Some(lived) = round(&(life, leaf, nth, trouble, allocation), lived)? else {
                    return Ok(());
                };
                rounds.count(lived);
            }
            print("allocation and SEAMCALL", life, &rounds);
        }
        Ok(())
    }

    #[test]
    fn two_seamcalls() -> Result {
        let mut random = Random::new(seed(), 0);
        for life in SPEAKING {
            let Some(usual) = usual(life)? else {
                return Ok(());
            };
            let mut rounds = Rounds::default();
            let most = if long() { PAIRS } else { FEW_PAIRS };
            while rounds.all < most {
                let mut chosen = [(Leaf::SYS_RD, 1, TROUBLES[0]); 2];
                let mut used = [0; 2];
                for (n, slot) in chosen.iter_mut().enumerate() {
                    let place = random.below(Leaf::ALL.len());
                    let trouble = TROUBLES[random.below(TROUBLES.len())];
                    let leaf = Leaf::ALL[place];
                    // RECLAIM is made in no life in which all goes well.
                    let calls = usual[place].max(u64::from(leaf == Leaf::PHYMEM_PAGE_RECLAIM));
                    used[n] = calls.min(u64::from(trouble.fits(leaf)));
                    let nth = 1 + random.below(usize::try_from(calls)?) as u64;
                    *slot = (leaf, nth, trouble);
                }
                if used.contains(&0) || chosen[0].0 == chosen[1].0 {
                    continue;
                }
                let begin = |emu: &Emu| {
                    let mut chosen = chosen.into_iter();
                    chosen.try_for_each(|(leaf, nth, trouble)| trouble.at(emu, leaf, nth))
                };
                let lived = live(life, begin, heal, rounds.again());
                let Some(lived) = round(&chosen, lived)? else {
                    return Ok(());
                };
                rounds.count(lived);
            }
            print("two SEAMCALLs", life, &rounds);
        }
        Ok(())
    }
}

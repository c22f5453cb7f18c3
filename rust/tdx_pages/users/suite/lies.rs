// SPDX-License-Identifier: GPL-2.0

//! Whole lives under a TDX Module that lies.
//!
//! Each is lived under each lie; after that nothing is lost, the registry has on record what the
//! software TDX Module owns, nobody has made a mistake, and the next life goes well: see
//! [`live_on`].

use super::{
    chance::*,
    lie::*,
    lives::*,
    *, //
};
use crate::abi::status::Operand;
use crate::emu::{
    Interrupt,
    Outputs,
    Progress, //
};
use crate::seam::profile::Profile;

/// Calls after which the kernel's own loop gives up on a TDX Module without entropy.
const ENTROPY_TRIES: u64 = 10;

/// Rounds of each life under chance: of a long run, and of a short one.
const MIXES: u64 = 1000;
const FEW_MIXES: u64 = 12;

/// How many of 1000 calls go wrong by chance.
const PER_MILLE: [u64; 4] = [10, 50, 200, 700];

/// Leaves that may be interrupted.
const INTERRUPTED: [Leaf; 13] = [
    Leaf::EXT_MEM_ADD,
    Leaf::EXT_INIT,
    Leaf::IOMMU_SETUP,
    Leaf::IOMMU_CLEAR,
    Leaf::SPDM_CREATE,
    Leaf::SPDM_DELETE,
    Leaf::SPDM_CONNECT,
    Leaf::SPDM_DISCONNECT,
    Leaf::SPDM_MNG,
    Leaf::IDE_STREAM_CREATE,
    Leaf::IDE_STREAM_BLOCK,
    Leaf::IDE_STREAM_DELETE,
    Leaf::IDE_STREAM_KM,
];

#[kunit_tests(tdx_pages_lies)]
mod tests {
    use super::*;

    const FAILED: Status = Status::CONNECT_INVALID_STATE;

    /// An interruption is no failure, wherever it comes.
    #[test]
    fn interrupted_once_anywhere() -> Result {
        let Some(mut lies) = Lies::new(5)? else {
            return Ok(());
        };
        for life in SPEAKING {
            for leaf in INTERRUPTED {
                let last = (leaf == Leaf::EXT_MEM_ADD).then_some(Interrupt::Last);
                let at = (1..4).map(Interrupt::At);
                for when in Iterator::chain(at, last) {
                    let Some(lived) = lies.live(life, Lie::Interrupt(leaf, when))? else {
                        continue;
                    };
                    expect_eq!(
                        (life, leaf, lived.well, lived.quarantined),
                        (life, leaf, true, 0)
                    );
                }
            }
        }
        lies.print("interrupted");
        Ok(())
    }

    /// What the kernel's own loop bears is not seen, and what it does not bear is borne by ours,
    /// but for metadata and the proof.
    #[test]
    fn without_entropy() -> Result {
        let Some(mut lies) = Lies::new(5)? else {
            return Ok(());
        };
        for life in SPEAKING {
            for leaf in Leaf::ALL.iter().copied() {
                for times in [ENTROPY_TRIES - 1, ENTROPY_TRIES] {
                    let lie = Lie::NoEntropy(leaf, times);
                    let Some(lived) = lies.live(life, lie)? else {
                        continue;
                    };
                    let seen = times == ENTROPY_TRIES
                        && matches!(leaf, Leaf::SYS_RD | Leaf::PHYMEM_PAGE_WBINVD);
                    expect_eq!((life, leaf, times, lived.well), (life, leaf, times, !seen));
                }
            }
        }
        lies.print("no entropy");
        Ok(())
    }

    #[test]
    fn busy_for_a_while_or_for_ever() -> Result {
        let Some(mut lies) = Lies::new(5)? else {
            return Ok(());
        };
        for life in SPEAKING {
            for leaf in Leaf::ALL.iter().copied() {
                for (times, status) in [
                    (2, Status::OPERAND_BUSY.on(Operand::Rcx)),
                    (u64::MAX, Status::SYS_BUSY),
                ] {
                    let lie = Lie::Answer(leaf, 1, times, status);
                    let Some(lived) = lies.live(life, lie)? else {
                        continue;
                    };
                    let borne = !matches!(leaf, Leaf::SYS_RD | Leaf::PHYMEM_PAGE_WBINVD);
                    if times == 2 && borne {
                        expect_eq!((life, leaf, lived.well), (life, leaf, true));
                    }
                }
            }
        }
        lies.print("busy");
        expect!(lies.rounds.ill > 0);
        Ok(())
    }

    /// Success of what was not done; of the proof it cannot be told.
    #[test]
    fn success_of_nothing() -> Result {
        let Some(mut lies) = Lies::new(4)? else {
            return Ok(());
        };
        for life in SPEAKING {
            for leaf in Leaf::ALL.iter().copied() {
                // The pool's may be told of what it does not have.
                if matches!(leaf, Leaf::PHYMEM_PAGE_WBINVD | Leaf::EXT_MEM_ADD) {
                    continue;
                }
                for nth in [1, 2] {
                    let lie = Lie::Answer(leaf, nth, 1, Status::SUCCESS);
                    let _ = lies.live(life, lie)?;
                }
            }
        }
        lies.print("success of nothing");
        expect!(lies.rounds.ill > 0 && lies.rounds.quarantined > 0);
        Ok(())
    }

    #[test]
    fn progress_stalls_goes_back_or_overshoots() -> Result {
        let Some(mut lies) = Lies::new(2)? else {
            return Ok(());
        };
        for profile in [Profile::V2, Profile::Late] {
            for when in [
                Interrupt::Every(1),
                Interrupt::Every(2),
                Interrupt::At(3),
                Interrupt::Last,
            ] {
                for lie in [
                    Progress::Stalled,
                    Progress::Back(1),
                    Progress::Back(u64::MAX),
                    Progress::Ahead(1),
                    Progress::Ahead(2),
                    Progress::Ahead(POOL),
                    Progress::Ahead(511),
                    Progress::Word(0),
                    Progress::Word(u64::MAX),
                    Progress::Word(0x1000),
                ] {
                    let lie = Lie::Progress(when, lie);
                    let _ = lies.live(Life::Attach(profile), lie)?;
                }
            }
        }
        lies.print("progress");
        Ok(())
    }

    /// What is held for good is exactly what was taken, as far as a check or the proof can tell.
    #[test]
    fn progress_that_can_be_seen_through() -> Result {
        for (lie, held) in [
            // It said that it was interrupted after two, and had not moved: the proof tells.
            (Progress::Stalled, 2),
            (Progress::Back(1), 2),
            // Past the end: refused, and the proof tells.
            (Progress::Ahead(POOL - 2), 2),
            (Progress::Word(0), 2),
            // Believed: one more than was taken is held for good, and is no loss when that one
            // comes back.
            (Progress::Ahead(1), 4),
        ] {
            let Some(emu) = begin(POOL)? else {
                return Ok(());
            };
            emu.interrupt_when(Leaf::EXT_MEM_ADD, Interrupt::At(2))?;
            emu.progress(lie)?;
            let attached = Attached::new(pool_only(&[]))?;
            let pool = emu.balance()?.pool;
            let believed = matches!(lie, Progress::Ahead(1));
            let account = attached.kernel().users().ext_pool.account().balance();
            if believed {
                // The third entry was skipped.
                expect_eq!(
                    (pool, account.held_for_good),
                    (held, usize::try_from(POOL)?)
                );
            } else {
                expect_eq!(
                    (pool, account.held_for_good),
                    (held, usize::try_from(held)?)
                );
            }
            end(&emu, attached, account.held_for_good)?;
        }
        Ok(())
    }

    #[test]
    fn outputs_of_something_else() -> Result {
        let Some(mut lies) = Lies::new(23)? else {
            return Ok(());
        };
        for life in SPEAKING {
            for leaf in OUTPUTS {
                for outputs in [
                    Outputs::Stale,
                    Outputs::AlwaysStale,
                    Outputs::Word(u64::MAX),
                    Outputs::Word(0x100),
                    Outputs::AlwaysWord(0),
                    Outputs::AlwaysWord(0x100),
                    Outputs::AlwaysWord(u64::MAX),
                ] {
                    for (status, when) in [
                        (Status::SUCCESS, Fault::Before),
                        (FAILED, Fault::After),
                        (Status::INTERRUPTED_RESUMABLE, Fault::Before),
                        (Status::OPERAND_BUSY, Fault::Before),
                    ] {
                        let lie = Lie::Outputs(leaf, outputs, status, when);
                        let Some(lived) = lies.live(life, lie)? else {
                            continue;
                        };
                        let undefined = matches!(outputs, Outputs::Stale | Outputs::Word(_));
                        if undefined && status.is_success() {
                            expect_eq!((life, leaf, lived.well), (life, leaf, true));
                        }
                    }
                }
            }
        }
        lies.print("outputs");
        expect!(lies.rounds.ill > 0);
        Ok(())
    }

    #[test]
    fn metadata_that_changes() -> Result {
        let Some(mut lies) = Lies::new(17)? else {
            return Ok(());
        };
        for life in SPEAKING {
            for field in [
                Field::POOL_REQUIRED_PAGES_U16,
                Field::EXT_REQUIRED_U16,
                Field::IOMMU_MT_PAGE_COUNT,
                Field::SPDM_MT_PAGE_COUNT,
                Field::IDE_MT_PAGE_COUNT,
                Field::SPDM_MAX_DEV_INFO_PAGES,
                Field::FEATURES0,
            ] {
                for value in [0, 1, 4, 512, 513, 0xffff, u64::MAX] {
                    for (nth, alternates) in [(1, false), (2, false), (2, true), (3, true)] {
                        let lie = Lie::Field(field, value, nth, alternates);
                        let _ = lies.live(life, lie)?;
                    }
                }
            }
        }
        lies.print("metadata");
        expect!(lies.rounds.ill > 0);
        Ok(())
    }

    /// What ends something succeeds, and the TDX Module still owns the pages.
    #[test]
    fn success_while_still_owning() -> Result {
        let Some(mut lies) = Lies::new(1)? else {
            return Ok(());
        };
        for life in SPEAKING {
            for reclaim in [false, true] {
                let Some(lived) = lies.live(life, Lie::Keep(reclaim))? else {
                    continue;
                };
                // The life of a session has an IOMMU, too.
                expect!(lived.quarantined >= TABLE_PAGES);
            }
        }
        lies.print("kept");
        Ok(())
    }

    #[test]
    fn ids_of_something_else() -> Result {
        let Some(mut lies) = Lies::new(4)? else {
            return Ok(());
        };
        for life in SPEAKING {
            for leaf in [
                Leaf::IOMMU_SETUP,
                Leaf::SPDM_CREATE,
                Leaf::IDE_STREAM_CREATE,
            ] {
                for id in [0, 1, 0x100, 0x101, 0x240, 0x500, u64::MAX] {
                    let _ = lies.live(life, Lie::Id(leaf, id))?;
                }
            }
        }
        lies.print("ids");
        expect!(lies.rounds.ill > 0);
        Ok(())
    }

    #[test]
    fn wrong_lists_of_released_pages() -> Result {
        let Some(mut lies) = Lies::new(2)? else {
            return Ok(());
        };
        for life in SPEAKING {
            for lie in [
                Released::Count(1),
                Released::Count(512),
                Released::Foreign(0, 0),
                Released::Foreign(0x10_0000, 1),
                Released::Foreign(u64::MAX, 1),
                Released::Repeated(1),
                Released::Shifted(1),
                Released::Reversed,
                Released::Word(0),
                Released::Word(u64::MAX),
                Released::Unwritten,
            ] {
                let Some(lived) = lies.live(life, Lie::Released(lie))? else {
                    continue;
                };
                // Whatever is said of them, each page is proved by itself.
                expect_eq!((life, lived.quarantined), (life, 0));
            }
        }
        lies.print("lists");
        Ok(())
    }

    #[test]
    fn chance() -> Result {
        let Some(mut lies) = Lies::new(1)? else {
            return Ok(());
        };
        let most = if long() { MIXES } else { FEW_MIXES };
        for life in SPEAKING {
            for n in 0..most {
                // The kernel log has it, for a life to be lived again.
                let seed = u64::from(seed()) << 32 | n;
                let per_mille = PER_MILLE[usize::try_from(n)? % PER_MILLE.len()];
                let _ = lies.live(life, Lie::Mix(seed, per_mille))?;
            }
        }
        lies.print("chance");
        expect!(lies.rounds.ill > lies.rounds.all / 4 && lies.rounds.ill < lies.rounds.all);
        Ok(())
    }
}

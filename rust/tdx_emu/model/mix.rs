// SPDX-License-Identifier: GPL-2.0

//! Faults and lies by chance, the same ones for the same seed and the same calls.
//!
//! Of each call one thing goes wrong, or nothing. Only what a right or a wrong TDX Module can
//! answer does: never success of the proof, and never "not executed" of what was done. A TDX Module
//! without entropy has done nothing either.

use super::{
    outputs::{
        has_outputs,
        Outputs, //
    },
    progress::Progress,
    released::Released, //
};
use crate::abi::{
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};
use core::fmt;

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twist {
    /// Another status, before any effect, or after the whole one.
    Status(Status, bool),
    /// It is interrupted so.
    Interrupt(u64),
    /// It keeps the pages that it gives back.
    Keep,
    /// A lie about those.
    Released(Released),
    /// Another id.
    Id(u64),
    /// A lie about its progress.
    Progress(Progress),
    /// Other outputs.
    Outputs(Outputs),
    /// Another value of a field.
    Field(u64),
}

/// Answers that say that nothing was done.
const NOT_DONE: [Status; 3] = [
    Status::SYS_NOT_READY,
    Status::SYS_SHUTDOWN,
    Status::RND_NO_ENTROPY,
];

/// Answers that leave open what was done.
const FAILED: [Status; 11] = [
    Status::OPERAND_BUSY.on(Operand::Rcx),
    Status::SYS_BUSY,
    Status::INTERRUPTED_RESUMABLE,
    Status::IOMMU_ECMD_TIMEOUT,
    Status::INVALID_RESUMPTION,
    Status::CONNECT_INVALID_STATE,
    Status::OPERAND_INVALID.on(Operand::Rcx),
    Status::PAGE_METADATA_INCORRECT.on(Operand::Rcx),
    // Fatal; unknown; recoverable and unknown.
    Status::from_raw(0xe000_0f77_0000_0000),
    Status::from_raw(0xc000_1234_dead_beef),
    Status::from_raw(0x8000_1234_dead_beef),
];

/// Answers that say that it was done; the second one with a note that nobody knows.
const DONE: [Status; 2] = [Status::SUCCESS, Status::from_raw(0x0000_7e00_0000_0000)];

/// Calls out of which some go wrong.
const CALLS: u64 = 1000;

/// Chance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    seed: u64,
    /// How many of [`CALLS`] go wrong.
    per_mille: u64,
    /// The place of the only leaf that is meant.
    leaf: Option<usize>,
    state: u64,
    /// Nobody has been told of it yet.
    fresh: bool,
}

impl Mix {
    /// Nothing is left to chance.
    pub(crate) const OFF: Self = Self {
        seed: 0,
        per_mille: 0,
        leaf: None,
        state: 0,
        fresh: false,
    };

    /// Lets so many of 1000 calls go wrong, of one leaf by its place, or of all; [`None`] if that
    /// are too many.
    pub(crate) fn new(per_mille: u64, seed: u64, leaf: Option<usize>) -> Option<Self> {
        match per_mille {
            0 => Some(Self::OFF),
            1..=CALLS => Some(Self {
                seed,
                per_mille,
                leaf,
                state: seed,
                fresh: true,
            }),
            _ => None,
        }
    }

    /// Whether it is to be told.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Takes what is to be told.
    pub(crate) fn take_fresh(&mut self) -> Option<Self> {
        let told = self.fresh.then_some(*self);
        self.fresh = false;
        told
    }

    /// The next number (splitmix64: any seed will do).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`; 0 for none.
    fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    fn one_of<T: Copy>(&mut self, these: &[T], or: T) -> T {
        // CAST: Short lists.
        let at = self.below(these.len() as u64) as usize;
        these.get(at).copied().unwrap_or(or)
    }

    /// What becomes of the next call, of the leaf at this place in [`Leaf::ALL`].
    pub(crate) fn twist(&mut self, place: usize, late: bool) -> Option<Twist> {
        let leaf = *Leaf::ALL.get(place)?;
        if self.per_mille == 0 || self.leaf.is_some_and(|only| only != place) {
            return None;
        }
        if self.below(CALLS) >= self.per_mille {
            return None;
        }
        let own = match self.below(2) {
            0 => self.lie(leaf, late),
            _ => None,
        };
        Some(match own {
            Some(twist) => twist,
            None => self.status(leaf),
        })
    }

    fn status(&mut self, leaf: Leaf) -> Twist {
        let is_proof = leaf == Leaf::PHYMEM_PAGE_WBINVD;
        let after = self.below(2) == 1;
        let status = match self.below(4) {
            0 if !after => self.one_of(&NOT_DONE, Status::SYS_BUSY),
            1 if !is_proof => self.one_of(&DONE, Status::SUCCESS),
            _ => self.one_of(&FAILED, Status::SYS_BUSY),
        };
        Twist::Status(status, after)
    }

    /// A lie that this leaf can tell, if chance wants one of these.
    fn lie(&mut self, leaf: Leaf, late: bool) -> Option<Twist> {
        if has_outputs(leaf) && self.below(3) == 0 {
            let always = self.below(2) == 1;
            return Some(Twist::Outputs(match self.below(3) {
                0 => Outputs::stale(always),
                1 => Outputs::word(self.next(), always),
                _ => Outputs::word(self.below(512), always),
            }));
        }
        match leaf {
            Leaf::SYS_RD => Some(Twist::Field(match self.below(2) {
                0 => self.next(),
                _ => self.below(8),
            })),
            Leaf::EXT_MEM_ADD if self.below(2) == 0 => Some(Twist::Progress(self.progress())),
            Leaf::EXT_MEM_ADD => Some(Twist::Interrupt(self.below(8).saturating_add(1))),
            Leaf::PHYMEM_PAGE_RECLAIM => Some(Twist::Keep),
            Leaf::PHYMEM_PAGE_WBINVD | Leaf::PHYMEM_PAGE_RDMD => None,
            Leaf::IOMMU_SETUP | Leaf::SPDM_CREATE | Leaf::IDE_STREAM_CREATE
                if self.below(2) == 0 =>
            {
                Some(Twist::Id(match self.below(3) {
                    0 => self.next(),
                    1 => self.below(4),
                    // Where ids of objects begin.
                    _ => self.below(4).saturating_add(0x100),
                }))
            }
            Leaf::IOMMU_CLEAR | Leaf::SPDM_DELETE | Leaf::IDE_STREAM_DELETE => {
                Some(match self.below(3) {
                    0 => Twist::Keep,
                    1 if !late => Twist::Released(self.released()),
                    _ => Twist::Interrupt(1),
                })
            }
            _ => Some(Twist::Interrupt(1)),
        }
    }

    fn progress(&mut self) -> Progress {
        match self.below(5) {
            0 => Progress::Stalled,
            1 => Progress::Back(self.below(4).saturating_add(1)),
            2 => Progress::Ahead(self.below(4).saturating_add(1)),
            3 => Progress::Ahead(self.below(512)),
            _ => Progress::Word(self.next()),
        }
    }

    fn released(&mut self) -> Released {
        // CAST: Below 8.
        let index = self.below(8) as usize;
        match self.below(7) {
            0 => Released::Count(self.below(512).saturating_add(1)),
            1 => Released::Foreign {
                hpa: Hpa::from_bits(self.next()).get(),
                index,
            },
            2 => Released::Repeated(index),
            3 => Released::Shifted(index),
            4 => Released::Reversed,
            5 => Released::Word(self.next()),
            _ => Released::Unwritten,
        }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, {} of 1000 calls", self.seed, self.per_mille)?;
        match self.leaf.and_then(|place| Leaf::ALL.get(place)) {
            Some(leaf) => write!(f, " of {leaf}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twists(mut mix: Mix, calls: usize) -> Vec<Option<Twist>> {
        (0..calls)
            .map(|call| mix.twist(call % Leaf::ALL.len(), call % 3 == 0))
            .collect()
    }

    #[test]
    fn a_seed_says_it_all() {
        let mix = |seed| Mix::new(300, seed, None).unwrap();
        let one = twists(mix(7), 2000);
        assert_eq!(one, twists(mix(7), 2000));
        assert_ne!(one, twists(mix(8), 2000));
        assert_ne!(one, twists(mix(0), 2000));
        let wrong = one.iter().flatten().count();
        assert!((500..700).contains(&wrong), "{wrong}");
    }

    #[test]
    fn so_many_of_the_leaf_that_is_meant() {
        let only = Mix::new(1000, 1, Some(3)).unwrap();
        for (call, twist) in twists(only, 500).into_iter().enumerate() {
            assert_eq!(twist.is_some(), call % Leaf::ALL.len() == 3);
        }
        assert!(twists(Mix::OFF, 500).iter().all(Option::is_none));
        assert!(Mix::new(0, 1, None).is_some_and(|mix| !mix.is_fresh()));
        assert!(Mix::new(1001, 1, None).is_none());
    }

    #[test]
    fn nothing_that_no_tdx_module_can_say() {
        let calls = 200_000;
        let all = twists(Mix::new(1000, 5, None).unwrap(), calls);
        let mut kinds = std::collections::HashSet::new();
        for (call, twist) in all.into_iter().flatten().enumerate() {
            let leaf = Leaf::ALL[call % Leaf::ALL.len()];
            kinds.insert(core::mem::discriminant(&twist));
            if let Twist::Status(status, after) = twist {
                let is_proof = leaf == Leaf::PHYMEM_PAGE_WBINVD;
                assert!(!(is_proof && status.is_success_class()), "{status}");
                let nothing_done = status.is_not_executed() || status == Status::RND_NO_ENTROPY;
                assert!(!(after && nothing_done), "{leaf} {status}");
            }
        }
        assert_eq!(kinds.len(), 8, "one of each kind");
    }

    #[test]
    fn it_is_told_once() {
        let mut mix = Mix::new(20, 42, Some(2)).unwrap();
        let told = mix.take_fresh().unwrap().to_string();
        assert_eq!(told, "seed 42, 20 of 1000 calls of TDH.SYS.RD");
        assert!(mix.take_fresh().is_none());
    }
}

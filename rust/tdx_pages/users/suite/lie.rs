// SPDX-License-Identifier: GPL-2.0

//! Lies of a TDX Module, and whole lives under them.

use super::{
    chance::*,
    lives::*,
    rounds::Rounds,
    *, //
};
use crate::emu::{
    Interrupt,
    Outputs,
    Progress, //
};

/// How long a leaf is tried under a lie that ends by itself.
const PATIENCE: Delta = Delta::from_secs(1);

/// And under one that does not.
const IMPATIENCE: Delta = Delta::from_millis(3);

/// One lie, or an answer that is no lie.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lie {
    /// A leaf is interrupted.
    Interrupt(Leaf, Interrupt),
    /// TDH.EXT.MEM.ADD is interrupted so, and tells this of its progress.
    Progress(Interrupt, Progress),
    /// The n-th call of a leaf and those behind it answer this, before their effect.
    Answer(Leaf, u64, u64, Status),
    /// The first so many calls of a leaf find no entropy, and leave something else in the registers.
    NoEntropy(Leaf, u64),
    /// Two calls answer this, before or after their effect, with outputs that are not theirs.
    Outputs(Leaf, Outputs, Status, Fault),
    /// A field tells this from the n-th read on, or at each of them.
    Field(Field, u64, u64, bool),
    /// Pages stay owned; after RECLAIM too.
    Keep(bool),
    /// Another id.
    Id(Leaf, u64),
    /// Of released pages.
    Released(Released),
    /// Chance.
    Mix(u64, u64),
}

impl Lie {
    fn begin(self, emu: &Emu) -> Result {
        match self {
            Self::Interrupt(leaf, when) => emu.interrupt_when(leaf, when),
            Self::Progress(when, lie) => {
                emu.interrupt_when(Leaf::EXT_MEM_ADD, when)?;
                emu.progress(lie)
            }
            Self::Answer(leaf, nth, times, status) => {
                emu.fail(leaf, nth, times, status, Fault::Before)
            }
            Self::NoEntropy(leaf, times) => {
                if OUTPUTS.contains(&leaf) {
                    emu.outputs(leaf, Outputs::Word(0x100))?;
                }
                emu.fail(leaf, 1, times, Status::RND_NO_ENTROPY, Fault::Before)
            }
            Self::Outputs(leaf, outputs, status, when) => {
                emu.outputs(leaf, outputs)?;
                if status.is_success() {
                    return Ok(());
                }
                emu.fail(leaf, 1, 2, status, when)
            }
            Self::Field(field, value, nth, alternates) => emu.tell(field, value, nth, alternates),
            Self::Keep(false) => emu.keep_all(),
            Self::Keep(true) => emu.keep_all_for_good(),
            Self::Id(leaf, id) => emu.id(leaf, id),
            Self::Released(lie) => emu.released(lie),
            Self::Mix(seed, per_mille) => emu.mix(seed, per_mille),
        }
    }

    fn patience(self) -> Delta {
        match self {
            Self::Interrupt(..) | Self::Progress(..) | Self::NoEntropy(..) => PATIENCE,
            Self::Answer(_, _, times, _) if times < u64::MAX => PATIENCE,
            _ => IMPATIENCE,
        }
    }

    /// Whether the pool can be said to have what it has not.
    fn pool(self) -> PoolIs {
        match self {
            Self::Progress(..) | Self::Mix(..) | Self::Outputs(Leaf::EXT_MEM_ADD, ..) => {
                PoolIs::Feigned
            }
            _ => PoolIs::True,
        }
    }
}

/// The end of all lies.
fn truth(emu: &Emu) -> Result {
    emu.mix(0, 0)?;
    emu.progress(Progress::Truth)?;
    emu.released(Released::Truth)?;
    emu.keep_none()?;
    for leaf in Leaf::ALL {
        emu.interrupt(*leaf, 0)?;
        emu.heal(*leaf)?;
    }
    for leaf in OUTPUTS {
        emu.outputs(leaf, Outputs::Truth)?;
    }
    Ok(())
}

/// Leaves with outputs that this kernel module calls.
pub(super) const OUTPUTS: [Leaf; 12] = [
    Leaf::SYS_RD,
    Leaf::EXT_MEM_ADD,
    Leaf::IOMMU_SETUP,
    Leaf::SPDM_CREATE,
    Leaf::SPDM_DELETE,
    Leaf::SPDM_CONNECT,
    Leaf::SPDM_DISCONNECT,
    Leaf::SPDM_MNG,
    Leaf::IDE_STREAM_CREATE,
    Leaf::IDE_STREAM_DELETE,
    Leaf::IDE_STREAM_KM,
    Leaf::PHYMEM_PAGE_RECLAIM,
];

/// Rounds under lies.
pub(super) struct Lies {
    /// A short run lives one of so many.
    share: usize,
    /// Of those, which one.
    turn: usize,
    /// Those that were lived.
    pub(super) rounds: Rounds,
}

impl Lies {
    /// [`None`] if there is no software TDX Module.
    pub(super) fn new(share: usize) -> Result<Option<Self>> {
        Ok(Emu::begin().map(|_| Self {
            share: if long() { 1 } else { share },
            // CAST: 32 bits fit.
            turn: seed() as usize % share,
            rounds: Rounds::default(),
        }))
    }

    /// Lives a life under a lie; [`None`] for one that is not lived in a short run.
    pub(super) fn live(&mut self, life: Life, lie: Lie) -> Result<Option<Lived>> {
        self.turn += 1;
        if self.turn % self.share != 0 {
            return Ok(None);
        }
        let terms = Terms {
            pool: lie.pool(),
            patience: lie.patience(),
            again: self.rounds.again(),
        };
        let lived = live_on(life, terms, |emu: &Emu| lie.begin(emu), truth).inspect_err(|_| {
            pr_err!("lies: the round that failed: {:?} under {:?}\n", life, lie)
        })?;
        if let Some(lived) = lived {
            self.rounds.count(lived);
        }
        Ok(lived)
    }

    pub(super) fn print(&self, what: &str) {
        pr_info!("lies: {}: {}\n", what, self.rounds);
    }
}

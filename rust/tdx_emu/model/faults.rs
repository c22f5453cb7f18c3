// SPDX-License-Identifier: GPL-2.0

//! What a test makes go wrong.

use super::{
    mix::{
        Mix,
        Twist, //
    },
    outputs::Outputs,
    progress::Progress,
    released::Released, //
};
use crate::abi::{
    Hpa,
    Leaf,
    Status, //
};

/// Leaves that the model keeps books on: those of [`Leaf::ALL`], by their place there.
pub(crate) const LEAVES: usize = Leaf::ALL.len();

/// Faults of a leaf that can wait for their turn.
pub(crate) const QUEUE: usize = 4;

/// IOMMUs that can be refused at a time.
pub(crate) const REFUSALS: usize = 8;

/// The place of a leaf in the books.
pub(crate) fn index(number: u64) -> Option<usize> {
    Leaf::ALL.iter().position(|leaf| leaf.number() == number)
}

/// Calls of a leaf that are to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Calls that pass before the first one that fails, counted from the end of the fault before.
    pub(crate) skip: u64,
    /// Calls that fail then.
    pub(crate) times: u64,
    /// What they answer.
    pub(crate) status: Status,
    /// Whether the leaf does its whole work first.
    pub(crate) after: bool,
}

/// When a leaf is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// TDH.EXT.MEM.ADD after every so many entries; another leaf so many times before it completes.
    /// 0 for never.
    Every(u64),
    /// Once: TDH.EXT.MEM.ADD before the entry of this index, 1 to 511, in a list that has more
    /// entries; another leaf at the so many-th call, 1 being the next, that nothing stands against.
    At(u64),
    /// TDH.EXT.MEM.ADD before the last entry of each list.
    Last,
}

/// The faults of one leaf, the next one first. The places behind the last one are empty.
type Queue = [Option<Fault>; QUEUE];

/// Which pages a leaf that releases some does not let go of, though it succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It lets go of all, as it should.
    #[default]
    None,
    /// All.
    All,
    /// This one.
    Page(Hpa),
}

impl Keep {
    /// Whether `page` stays owned.
    pub(crate) fn keeps(self, page: Hpa) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Page(kept) => kept == page,
        }
    }
}

/// Everything that is set to go wrong.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    faults: [Queue; LEAVES],
    interrupts: [Interrupt; LEAVES],
    outputs: [Outputs; LEAVES],
    refused: [Option<u64>; REFUSALS],
    pub(crate) keep: Keep,
    /// Whether TDH.PHYMEM.PAGE.RECLAIM keeps those pages too.
    pub(crate) reclaim_keeps: bool,
    pub(crate) released: Released,
    pub(crate) progress: Progress,
    /// What chance makes of calls.
    pub(crate) mix: Mix,
    /// What it makes of the call that is being made.
    now: Option<Twist>,
    /// The place of a leaf, and the id that its next success is to say.
    pub(crate) id: Option<(usize, u64)>,
}

impl Faults {
    /// Nothing goes wrong.
    pub(crate) const NONE: Self = Self {
        faults: [[None; QUEUE]; LEAVES],
        interrupts: [Interrupt::Every(0); LEAVES],
        outputs: [Outputs::TRUE; LEAVES],
        refused: [None; REFUSALS],
        keep: Keep::None,
        reclaim_keeps: false,
        released: Released::Truth,
        progress: Progress::Truth,
        mix: Mix::OFF,
        now: None,
        id: None,
    };

    /// Adds a fault behind those that a leaf has already; `false` if there is no room.
    pub(crate) fn push(&mut self, leaf: usize, fault: Fault) -> bool {
        let Some(queue) = self.faults.get_mut(leaf) else {
            return false;
        };
        match queue.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = (fault.times > 0).then_some(fault);
                true
            }
            None => false,
        }
    }

    /// Takes away all faults of a leaf.
    pub(crate) fn clear(&mut self, leaf: usize) {
        if let Some(queue) = self.faults.get_mut(leaf) {
            *queue = [None; QUEUE];
        }
    }

    /// The fault of the call that is being made, which is counted by this.
    pub(crate) fn hit(&mut self, leaf: usize) -> Option<Fault> {
        let queue = self.faults.get_mut(leaf)?;
        let fault = queue.first_mut()?.as_mut()?;
        if fault.skip > 0 {
            fault.skip = fault.skip.saturating_sub(1);
            return None;
        }
        let hit = *fault;
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            let [_, second, third, fourth] = *queue;
            *queue = [second, third, fourth, None];
        }
        Some(hit)
    }

    /// Begins a call: lets chance decide what becomes of it, where no fault of its own does.
    pub(crate) fn begin(&mut self, leaf: usize, late: bool) {
        self.now = self.mix.twist(leaf, late);
    }

    /// The fault that chance has made of the call that is being made.
    pub(crate) fn chance(&self) -> Option<(Status, bool)> {
        match self.now {
            Some(Twist::Status(status, after)) => Some((status, after)),
            _ => None,
        }
    }

    /// Ends a call.
    pub(crate) fn end(&mut self) {
        self.now = None;
    }

    /// Sets when a leaf is interrupted.
    pub(crate) fn interrupt(&mut self, leaf: usize, when: Interrupt) {
        if let Some(slot) = self.interrupts.get_mut(leaf) {
            *slot = when;
        }
    }

    /// When the call that is being made is interrupted.
    pub(crate) fn interrupts(&self, leaf: usize) -> Interrupt {
        match self.now {
            Some(Twist::Interrupt(k)) => Interrupt::Every(k),
            _ => {
                let set = self.interrupts.get(leaf).copied();
                set.unwrap_or(Interrupt::Every(0))
            }
        }
    }

    /// How many times the call that is being made, of a leaf that is resumed with its original
    /// operands, is interrupted before it completes; it is counted by this.
    pub(crate) fn times(&mut self, leaf: Leaf) -> u64 {
        let Some(leaf) = index(leaf.number()) else {
            return 0;
        };
        match self.interrupts(leaf) {
            Interrupt::Every(times) => times,
            Interrupt::At(1) => {
                self.interrupt(leaf, Interrupt::Every(0));
                1
            }
            Interrupt::At(n) => {
                self.interrupt(leaf, Interrupt::At(n.saturating_sub(1)));
                0
            }
            Interrupt::Last => 0,
        }
    }

    /// Which pages stay owned in the call that is being made.
    pub(crate) fn keep(&self) -> Keep {
        match self.now {
            Some(Twist::Keep) => Keep::All,
            _ => self.keep,
        }
    }

    /// Whether TDH.PHYMEM.PAGE.RECLAIM keeps a page in the call that is being made.
    pub(crate) fn reclaim_keeps(&self, page: Hpa) -> bool {
        matches!(self.now, Some(Twist::Keep)) || self.reclaim_keeps && self.keep.keeps(page)
    }

    /// What is said of released pages in the call that is being made.
    pub(crate) fn released(&self) -> Released {
        match self.now {
            Some(Twist::Released(lie)) => lie,
            _ => self.released,
        }
    }

    /// What is said of the progress in the call that is being made.
    pub(crate) fn progress(&self) -> Progress {
        match self.now {
            Some(Twist::Progress(lie)) => lie,
            _ => self.progress,
        }
    }

    /// What is told of a metadata field in the call that is being made, if not what is set.
    pub(crate) fn told(&self) -> Option<u64> {
        match self.now {
            Some(Twist::Field(value)) => Some(value),
            _ => None,
        }
    }

    /// The id that the call that is being made says instead of the true one, now that it succeeds.
    pub(crate) fn take_id(&mut self, leaf: usize) -> Option<u64> {
        if let Some(Twist::Id(id)) = self.now {
            return Some(id);
        }
        let (_, id) = self.id.filter(|(of, _)| *of == leaf)?;
        self.id = None;
        Some(id)
    }

    /// Sets what the outputs of a leaf hold.
    pub(crate) fn set_outputs(&mut self, leaf: usize, outputs: Outputs) {
        if let Some(slot) = self.outputs.get_mut(leaf) {
            *slot = outputs;
        }
    }

    /// What the outputs of the call that is being made hold.
    pub(crate) fn outputs(&self, leaf: usize) -> Outputs {
        match self.now {
            Some(Twist::Outputs(outputs)) => outputs,
            _ => self.outputs.get(leaf).copied().unwrap_or(Outputs::TRUE),
        }
    }

    /// Refuses an IOMMU from now on; `false` if too many are refused.
    pub(crate) fn refuse(&mut self, base: u64) -> bool {
        if self.is_refused(base) {
            return true;
        }
        match self.refused.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(base);
                true
            }
            None => false,
        }
    }

    /// Whether an IOMMU is refused.
    pub(crate) fn is_refused(&self, base: u64) -> bool {
        self.refused.contains(&Some(base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: Fault = Fault {
        skip: 2,
        times: 2,
        status: Status::OPERAND_BUSY,
        after: false,
    };

    #[test]
    fn from_the_nth_call_on_so_many_times() {
        let mut faults = Faults::NONE;
        assert!(faults.push(3, FAULT));
        let hits: Vec<bool> = (0..6).map(|_| faults.hit(3).is_some()).collect();
        assert_eq!(hits, [false, false, true, true, false, false]);
        assert!(faults.hit(2).is_none());
        assert!(faults.hit(LEAVES).is_none());
        assert!(!faults.push(LEAVES, FAULT));
    }

    #[test]
    fn one_after_the_other() {
        let mut faults = Faults::NONE;
        let later = Fault {
            skip: 1,
            times: 1,
            status: Status::SYS_SHUTDOWN,
            after: true,
        };
        let none = Fault { times: 0, ..FAULT };
        for fault in [FAULT, none, later, FAULT, FAULT] {
            assert!(faults.push(0, fault));
        }
        assert!(!faults.push(0, FAULT), "four are waiting");
        let hits: Vec<_> = (0..16)
            .map(|_| faults.hit(0).map(|fault| fault.status))
            .collect();
        let (busy, down) = (Some(Status::OPERAND_BUSY), Some(Status::SYS_SHUTDOWN));
        let want = [
            None, None, busy, busy, None, down, None, None, busy, busy, None, None, busy, busy,
            None, None,
        ];
        assert_eq!(hits, want);
        assert!(faults.push(0, FAULT), "there is room again");
    }

    #[test]
    fn cleared() {
        let mut faults = Faults::NONE;
        assert!(faults.push(0, FAULT) && faults.push(0, FAULT) && faults.push(1, FAULT));
        faults.clear(0);
        assert!((0..9).all(|_| faults.hit(0).is_none()));
        assert!((0..9).any(|_| faults.hit(1).is_some()));
    }

    #[test]
    fn interrupted_at_the_nth_call_once() {
        let mut faults = Faults::NONE;
        let leaf = Leaf::IOMMU_SETUP;
        let place = index(leaf.number()).unwrap();
        faults.interrupt(place, Interrupt::At(3));
        let times: Vec<u64> = (0..6).map(|_| faults.times(leaf)).collect();
        assert_eq!(times, [0, 0, 1, 0, 0, 0]);
        faults.interrupt(place, Interrupt::Every(2));
        assert_eq!((faults.times(leaf), faults.times(leaf)), (2, 2));
        assert_eq!(faults.times(Leaf::IOMMU_CLEAR), 0);
    }

    #[test]
    fn an_id_is_told_once_by_its_own_leaf() {
        let mut faults = Faults::NONE;
        faults.id = Some((4, 9));
        assert_eq!(faults.take_id(3), None);
        assert_eq!((faults.take_id(4), faults.take_id(4)), (Some(9), None));
    }

    #[test]
    fn eight_refusals() {
        let mut faults = Faults::NONE;
        for base in 0..8 {
            assert!(faults.refuse(base << 12));
        }
        assert!(faults.refuse(0x7000), "it is refused already");
        assert!(!faults.refuse(0x8000));
        assert!(faults.is_refused(0) && !faults.is_refused(0x8000));
    }
}

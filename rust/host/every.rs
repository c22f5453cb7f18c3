// SPDX-License-Identifier: GPL-2.0

//! Every life of small memory, in which at most three answers are other than plain success.
//!
//! The very code of custody and encoders is driven through each of them. After each step an oracle
//! looks for a page that is free and owned, free and not proved, counted twice, or forgotten, and
//! holds the outcome against what was answered.

use crate::abi::{
    Hpa,
    Leaf,
    Status, //
};
use crate::blocks::Blocks;
use crate::custody::{
    memory::{
        Memory,
        Refusal, //
    },
    transitions::{
        hand_over,
        HandOverError,
        Held,
        ReleaseError,
        State,
        Why, //
    }, //
};
use crate::model::Config;
use crate::seam::{
    How,
    Leaves, //
};
use crate::shape::{
    Shape,
    BLOCKS,
    FOLIOS, //
};
use crate::tape::{
    every_life,
    Key,
    Seen,
    Tape, //
};
use crate::world::{
    World,
    CONFIG, //
};

/// Answers other than plain success.
const BUDGET: usize = 3;

/// How often a release is tried before another way is gone.
const RELEASES: u8 = BUDGET as u8 + 1;

/// How often the ledger tries again before it is closed.
const ROUNDS: u8 = 3;

/// The object that lives.
pub(crate) struct Life<'a> {
    world: &'a World,
    leaves: &'a Leaves,
    pub(crate) shape: Shape,
    tape: &'a Tape,
    pub(crate) pages: Vec<Hpa>,
    /// How often it came back.
    back: u8,
}

/// Where a life is at rest.
#[derive(Clone, Copy)]
enum Rest {
    Host,
    Held,
    Ledger,
}

/// The life goes on as another one did.
struct Known;

impl Life<'_> {
    /// All that decides how the life goes on.
    fn key(&self, at: Rest, count: u8) -> Key {
        let mut key = self.world.key(&self.pages);
        key.extend([at as u8, count]);
        key
    }

    /// Comes to rest, `count` times so far.
    fn rest(&self, at: Rest, count: u8) -> Result<(), Known> {
        if self.tape.repeats() {
            return Ok(());
        }
        self.world.check(match at {
            Rest::Host => self.shape.pages(),
            Rest::Held | Rest::Ledger => 0,
        });
        let mut key = self.key(at, count);
        key.push(self.back);
        self.tape.rest(key).then_some(()).ok_or(Known)
    }

    /// From the allocation on.
    fn live(&mut self) -> Result<(), Known> {
        let mut memory = self.world.blocks(self.shape.sizes, self.shape.folios);
        self.pages = memory.hpas().collect();
        let new = self.key(Rest::Host, 0);
        for back in 0..2 {
            self.back = back;
            self.rest(Rest::Host, 0)?;
            if self.tape.choose("ledger is closed", 2) == 1 {
                self.world.close();
            }
            let Some(back) = self.hand_over(memory)? else {
                return self.on_record();
            };
            memory = back;
            // What came back is as good as new: whatever may happen to it now has been lived. Only
            // what the TDX Module has left of the object makes a difference.
            if self.world.is_closed() || self.key(Rest::Host, 0) == new {
                break;
            }
            assert!(self.world.has_remains());
        }
        drop(memory);
        self.world.check(0);
        assert_eq!(self.world.allocated(), 0);
        assert!(self.world.records().is_empty());
        Ok(())
    }

    /// The memory again if it came back.
    fn hand_over(&self, memory: Blocks) -> Result<Option<Blocks>, Known> {
        let world = self.world;
        let all = self.shape.pages();
        let closed = world.is_closed();
        world.take_proofs();
        self.leaves.take_end();
        let result = hand_over(world, &(), memory, Leaf::IOMMU_SETUP, |memory| {
            self.leaves.take(memory)
        });
        let end = self.leaves.take_end();
        let proofs = world.take_proofs();
        match result {
            Err(HandOverError::Refused(memory, why)) => {
                assert!(closed && why == Refusal::Closed && end.is_none());
                assert!(proofs.is_empty());
                world.check(all);
                Ok(Some(memory))
            }
            Err(HandOverError::Back(memory, status)) => {
                let end = end.expect("it was called");
                assert_eq!(status, end.status);
                match end.how {
                    How::Untouched => assert!(proofs.is_empty(), "there was nothing to prove"),
                    How::Failed => self.assert_all_proved(&proofs),
                    How::Succeeded | How::GivenUp => panic!("{end:?}: nothing comes back"),
                }
                assert!(memory.split().iter().all(|split| !split));
                world.check(all);
                Ok(Some(memory))
            }
            Err(HandOverError::Settled(settled)) => {
                let end = end.expect("it was called");
                assert_eq!(settled.cause.status, end.status);
                match end.how {
                    How::Failed => {
                        assert_eq!(settled.cause.why, Why::HandOverFailed);
                        assert!(settled.quarantined > 0);
                        self.assert_settled(&settled, &proofs);
                    }
                    How::GivenUp => self.assert_abandoned(&settled, &proofs),
                    How::Succeeded | How::Untouched => {
                        panic!("{end:?}: there is nothing to settle")
                    }
                }
                Ok(None)
            }
            Ok(held) => {
                assert_eq!(end.map(|end| end.how), Some(How::Succeeded));
                assert!(proofs.is_empty(), "what is held is not put to the proof");
                self.held(held)
            }
        }
    }

    /// What is held, until it is not. The memory again if it came back.
    fn held(&self, mut held: Held<Blocks, World>) -> Result<Option<Blocks>, Known> {
        let world = self.world;
        for tries in 0..=RELEASES {
            self.rest(Rest::Held, tries)?;
            assert_eq!(world.records(), [(Some(State::Held), self.shape.pages())]);
            // At the last it is not released any more.
            let ways = if tries == RELEASES { 4 } else { 7 };
            world.take_proofs();
            self.leaves.take_end();
            world.take_reclaims();
            let released = match self.tape.choose("held", ways) {
                0 => {
                    drop(held);
                    assert_eq!(world.dropped_handles(), 1);
                    return Ok(None);
                }
                1 => {
                    std::mem::forget(held);
                    return Ok(None);
                }
                2 => {
                    held.hold_for_good();
                    return Ok(None);
                }
                3 => {
                    held.quarantine(Why::ReleaseFailed, Leaf::IOMMU_CLEAR, Status::UD);
                    let records = world.records();
                    assert!(matches!(records[..], [(Some(State::Quarantined(cause)), _)]
                        if cause.why == Why::ReleaseFailed && cause.status == Status::UD));
                    return Ok(None);
                }
                4 => held.release(Leaf::IOMMU_CLEAR, |memory| self.leaves.release(memory)),
                way => {
                    // A leaf of another kind has torn down what the pages belonged to, or has not.
                    if way == 6 {
                        world.tear_down_elsewhere(&self.pages, self.shape);
                    }
                    held.release_by_reclaim()
                }
            };
            let proofs = world.take_proofs();
            assert_eq!(world.dropped_handles(), 0);
            match self.released(released, &proofs) {
                Ok(still) => held = still,
                Err(memory) => return Ok(memory),
            }
        }
        unreachable!("the last try is none")
    }

    /// How a release ended: what is still held, or the memory, or neither.
    fn released(
        &self,
        released: Result<Blocks, ReleaseError<Blocks, World>>,
        proofs: &[(Hpa, Status)],
    ) -> Result<Held<Blocks, World>, Option<Blocks>> {
        // By the leaf of its own; page by page without.
        let end = self.leaves.take_end();
        let how = end.map_or(How::Succeeded, |end| end.how);
        let reclaimed = self.world.take_reclaims();
        let asked: &[Hpa] = if end.is_none() { &self.pages } else { &[] };
        assert_eq!(reclaimed, asked, "each page is asked for by itself");
        match released {
            Err(ReleaseError::StillHeld(held, answer)) => {
                assert!(proofs.is_empty(), "what is held is not put to the proof");
                match end {
                    Some(end) => {
                        assert!(matches!(end.how, How::Failed | How::Untouched));
                        assert_eq!(answer, end.status);
                    }
                    None => assert!(answer.is_not_executed()),
                }
                Ok(held)
            }
            Ok(memory) => {
                assert!(how == How::Succeeded && end.is_none_or(|end| end.list_ok));
                self.assert_all_proved(proofs);
                assert!(memory.split().iter().all(|split| !split));
                self.world.check(self.shape.pages());
                Err(Some(memory))
            }
            Err(ReleaseError::Settled(settled)) => {
                if how == How::GivenUp {
                    self.assert_abandoned(&settled, proofs);
                    return Err(None);
                }
                assert_eq!(how, How::Succeeded);
                if end.is_none_or(|end| end.list_ok) {
                    assert_eq!(settled.cause.why, Why::NotProved);
                    assert!(settled.quarantined > 0);
                } else {
                    assert_eq!(settled.cause.why, Why::WrongList);
                }
                self.assert_settled(&settled, proofs);
                Err(None)
            }
        }
    }

    /// What is left on record, until the ledger is closed.
    fn on_record(&self) -> Result<(), Known> {
        let world = self.world;
        for round in 0..ROUNDS {
            self.rest(Rest::Ledger, round)?;
            if world.records().is_empty() {
                break;
            }
            // Late, or never, the TDX Module lets go of some.
            let owned = self
                .pages
                .iter()
                .filter(|page| world.state(**page).is_owned());
            let owned: Vec<Hpa> = owned.copied().collect();
            let way = self.tape.choose("ledger", (1 << owned.len()) + 1);
            let Some(set) = way.checked_sub(1) else {
                break;
            };
            for (index, page) in owned.iter().enumerate() {
                if set >> index & 1 != 0 {
                    world.let_go(*page);
                }
            }
            self.account(|| world.retry());
        }
        self.account(|| world.last_try());
        // What is lost now is all there, so none was forgotten: it comes back when the TDX Module
        // has forgotten everything.
        world.forgive(&self.pages);
        self.account(|| world.recover());
        assert!(world.records().is_empty());
        assert_eq!(world.allocated(), 0);
        Ok(())
    }

    /// What is said to be freed is what is free afterwards.
    fn account(&self, step: impl FnOnce() -> usize) {
        let before = self.world.allocated();
        let freed = step();
        assert_eq!(self.world.allocated() + freed, before);
        self.world.check(0);
    }
}

fn lives_of(shape: Shape) -> Seen {
    let iommu_mt_pages = shape.words().saturating_sub(2) as u64;
    let config = Config {
        iommu_mt_pages,
        ..CONFIG
    };
    let world = World::with(16, config, Tape::default());
    let leaves = Leaves::new(&world, shape);
    let seen = every_life(BUDGET, |tape| {
        world.renew();
        world.set_tape(tape);
        let mut life = Life {
            world: &world,
            leaves: &leaves,
            shape,
            tape,
            pages: Vec::new(),
            back: 0,
        };
        // Whether it was lived to its end makes no difference here.
        let _ = life.live();
        assert_eq!(world.host_bugs(), 0);
    });
    println!("{shape:?}: {seen:?}");
    seen
}

fn lives_of_all(shapes: &[Shape]) {
    let mut all = Seen::default();
    for shape in shapes {
        all.add(lives_of(*shape));
    }
    println!(
        "at most {BUDGET} answers other than plain success: {} lives, {} of them lived one by one, {} states",
        all.lives, all.runs, all.states
    );
}

#[test]
fn every_life_of_blocks() {
    lives_of_all(&BLOCKS);
}

#[test]
fn every_life_of_folios() {
    lives_of_all(&FOLIOS);
}

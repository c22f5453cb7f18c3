// SPDX-License-Identifier: GPL-2.0

//! Lives of large memory at random: thousands of pages in any mixture of blocks, any set of them kept,
//! any way of feeding stopped anywhere.
//!
//! A failure tells the seed. With TDX_PAGES_SEED set to it the same lives are lived again.

use crate::abi::{
    status::Operand,
    Hpa,
    Leaf,
    Status, //
};
use crate::custody::{
    feed::hand_over_for_good,
    memory::Memory,
    transitions::{
        hand_over,
        HandOverError,
        ReleaseError,
        Settled, //
    }, //
};
use crate::fed::{
    added,
    ext_mem_add,
    judge,
    Reckoning,
    Said,
    Took,
    Word, //
};
use crate::model::page::{
    PageState,
    PageType, //
};
use crate::seam::ended;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::world::{
    World,
    CONFIG, //
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{
        Config,
        RngAlgorithm,
        TestRng,
        TestRunner, //
    }, //
};
use std::time::{
    SystemTime,
    UNIX_EPOCH, //
};

/// Pages of the machine, more than the largest memory takes.
const MACHINE: usize = 16 * 1024;

/// The most pages of a memory.
const MOST: usize = 4096;

/// Lives of each kind.
const CASES: u32 = 512;

const FAILURE: Status = Status::OPERAND_INVALID.on(Operand::Rdx);

/// A set of pages: few of them, or most, or runs.
#[derive(Clone, Debug)]
enum Set {
    None,
    All,
    These(Vec<usize>),
    AllBut(Vec<usize>),
    OneOf(usize),
    Run(usize, usize),
}

impl Set {
    /// Whether page `index` of `pages` is in it.
    fn has(&self, index: usize, pages: usize) -> bool {
        let listed = |list: &[usize]| list.iter().any(|page| page % pages == index);
        match self {
            Self::None => false,
            Self::All => true,
            Self::These(list) => listed(list),
            Self::AllBut(list) => !listed(list),
            Self::OneOf(count) => index % count == 0,
            Self::Run(first, count) => (index + pages - first % pages) % pages < *count,
        }
    }
}

fn any_set() -> impl Strategy<Value = Set> {
    let few = || vec(0..MOST, 1..8);
    prop_oneof![
        2 => Just(Set::None),
        1 => Just(Set::All),
        3 => few().prop_map(Set::These),
        1 => few().prop_map(Set::AllBut),
        1 => (1usize..70).prop_map(Set::OneOf),
        2 => (0..MOST, 1usize..600).prop_map(|(first, count)| Set::Run(first, count)),
    ]
}

/// Blocks of up to 512 pages, of which the first may be folios.
fn any_shape() -> impl Strategy<Value = Shape> {
    let large = vec(0u32..10, 1..40);
    let small = vec(0u32..3, 1..700);
    (prop_oneof![large, small], 0usize..4).prop_map(|(orders, folios)| {
        let mut sizes = Vec::new();
        let mut pages = 0;
        for order in orders {
            if pages + (1 << order) <= MOST {
                pages += 1 << order;
                sizes.push(1 << order);
            }
        }
        let folios = folios.min(sizes.len());
        // A shape is for good in the tests that live small ones; a few hundred more do no harm.
        Shape {
            sizes: sizes.leak(),
            folios,
        }
    })
}

/// How a call of TDH.EXT.MEM.ADD may go on, of which the numbers are cut to what there is.
#[derive(Clone, Debug)]
enum Stop {
    Plain,
    /// Interrupted after so many, as it should be.
    Interrupted(usize),
    /// So many are said to be taken, and these are.
    Lie(usize, Took, bool),
    /// The word is wrong.
    Wrong(Word, Took, bool),
    NotExecuted,
}

fn any_stop() -> impl Strategy<Value = Stop> {
    let took = || {
        prop_oneof![
            (0usize..513).prop_map(Took::First),
            any::<u64>().prop_map(Took::Set),
            (1usize..9).prop_map(Took::OneOf),
        ]
    };
    let word = prop_oneof![
        Just(Word::PastTheEnd),
        prop_oneof![0u32..3, 12u32..64].prop_map(|bit| Word::Changed(1 << bit)),
    ];
    prop_oneof![
        4 => Just(Stop::Plain),
        6 => (1usize..512).prop_map(Stop::Interrupted),
        2 => (0usize..512, took(), any::<bool>()).prop_map(|(n, took, ends)| Stop::Lie(n, took, ends)),
        1 => (word, took(), any::<bool>()).prop_map(|(word, took, ends)| Stop::Wrong(word, took, ends)),
        1 => Just(Stop::NotExecuted),
    ]
}

impl Stop {
    /// The answer to a word with `left` entries left; [`None`] for plain success.
    fn said(&self, left: usize) -> Option<Said> {
        let status = |ends: bool| match ends {
            true => FAILURE,
            false => Status::INTERRUPTED_RESUMABLE,
        };
        let said = match self.clone() {
            // A list is never interrupted after its last entry.
            Self::Interrupted(_) if left == 1 => return None,
            Self::Plain => return None,
            Self::Interrupted(count) => Said {
                status: Status::INTERRUPTED_RESUMABLE,
                took: Took::First(1 + count % (left - 1)),
                word: Word::Moved(1 + count % (left - 1)),
            },
            Self::Lie(count, took, ends) => Said {
                status: status(ends),
                took,
                word: Word::Moved(count % left),
            },
            Self::Wrong(word, took, ends) => Said {
                status: status(ends),
                took,
                word,
            },
            Self::NotExecuted => Said {
                status: Status::UD,
                took: Took::First(0),
                word: Word::Moved(0),
            },
        };
        Some(said)
    }
}

/// A seed from the environment, or a new one.
fn seed() -> u64 {
    match std::env::var("TDX_PAGES_SEED") {
        Ok(seed) => seed.parse().expect("TDX_PAGES_SEED is a number"),
        Err(_) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |now| now.as_nanos() as u64)
        }
    }
}

/// Lives lives at random; a failure is cut down to a small one and told with its seed.
fn random<S: Strategy>(strategy: S, life: impl Fn(S::Value)) {
    let seed = seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&strategy, |value| {
        life(value);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}\nto live it again: TDX_PAGES_SEED={seed}");
    }
}

/// A world with memory in it, and the pages.
fn world_of(shape: &Shape) -> (World, crate::blocks::Blocks, Vec<Hpa>) {
    let world = World::with(MACHINE, CONFIG, Tape::default());
    let memory = world.blocks(shape.sizes, shape.folios);
    let pages = memory.hpas().collect();
    (world, memory, pages)
}

/// Sets states of the pages in a set.
fn set_states(world: &World, pages: &[Hpa], set: impl Fn(usize) -> bool, state: PageState) {
    for (index, page) in pages.iter().enumerate() {
        if set(index) {
            world.set_state(*page, state);
        }
    }
}

/// What went into quarantine is what was not proved, each page for itself.
fn assert_settled(shape: &Shape, settled: &Settled, bad: impl Fn(usize) -> bool) {
    let stays = shape.stays(&bad);
    let freed = shape.pages() - stays;
    assert_eq!((settled.quarantined, settled.freed), (stays, freed));
    let first = (0..shape.pages()).find(|index| bad(*index));
    assert_eq!(settled.cause.unproved.map(|page| page.index), first);
}

/// Everything comes back, in two parts.
fn come_back(world: &World, pages: &[Hpa], late: &Set) {
    for all in [false, true] {
        for (index, page) in pages.iter().enumerate() {
            if all || late.has(index, pages.len()) {
                world.fail_proof(*page, false);
                if world.state(*page).is_owned() {
                    world.let_go(*page);
                }
            }
        }
        let before = world.allocated();
        assert_eq!(world.retry(), before - world.allocated());
        world.check(0);
    }
    assert_eq!((world.allocated(), world.records().len()), (0, 0));
    assert_eq!(world.host_bugs(), 0);
}

#[test]
fn released_with_any_set_kept() {
    let life = (any_shape(), any_set(), any_set(), any_set(), any::<bool>());
    random(life, |(shape, kept, fails, late, list_ok)| {
        let (world, memory, pages) = world_of(&shape);
        let n = pages.len();
        let taken = PageState::taken(PageType::IommuMt, 0x100);
        let held = hand_over(&world, &(), memory, Leaf::IOMMU_SETUP, |_| {
            world.assert_flushed(&pages);
            set_states(&world, &pages, |_| true, taken);
            ended(Status::SUCCESS)
        });
        let held = held.ok().expect("taken");
        world.check(0);
        assert_eq!(world.proofs(), 0);
        for (index, page) in pages.iter().enumerate() {
            world.fail_proof(*page, fails.has(index, n));
        }
        let released = held.release(Leaf::IOMMU_CLEAR, |_| {
            let free = |index| !kept.has(index, n);
            set_states(&world, &pages, free, PageState::let_go());
            ended(Status::SUCCESS).with_list(list_ok)
        });
        assert_eq!(world.proofs(), n, "one proof for each page");
        let bad = |index| kept.has(index, n) || fails.has(index, n);
        match released {
            Ok(memory) => {
                assert!(list_ok && !(0..n).any(bad));
                world.check(n);
                drop(memory);
            }
            Err(ReleaseError::Settled(settled)) => {
                assert!(!list_ok || (0..n).any(bad));
                assert_settled(&shape, &settled, bad);
            }
            Err(ReleaseError::StillHeld(..)) => panic!("the leaf succeeded"),
        }
        world.check(0);
        come_back(&world, &pages, &late);
    });
}

#[test]
fn handed_over_in_vain_with_any_set_taken() {
    let life = (any_shape(), any_set(), any_set(), any_set());
    random(life, |(shape, took, fails, late)| {
        let (world, memory, pages) = world_of(&shape);
        let n = pages.len();
        for (index, page) in pages.iter().enumerate() {
            world.fail_proof(*page, fails.has(index, n));
        }
        let taken = PageState::taken(PageType::IommuMt, 0x100);
        let result = hand_over(&world, &(), memory, Leaf::IOMMU_SETUP, |_| {
            set_states(&world, &pages, |index| took.has(index, n), taken);
            ended(FAILURE)
        });
        assert_eq!(world.proofs(), n, "one proof for each page");
        let bad = |index| took.has(index, n) || fails.has(index, n);
        match result {
            Err(HandOverError::Back(memory, FAILURE)) => {
                assert!(!(0..n).any(bad));
                world.check(n);
                drop(memory);
            }
            Err(HandOverError::Settled(settled)) => {
                assert!((0..n).any(bad));
                assert_settled(&shape, &settled, bad);
            }
            _ => panic!("the leaf failed"),
        }
        world.check(0);
        come_back(&world, &pages, &late);
    });
}

#[test]
fn fed_and_stopped_in_any_way() {
    let life = (any_shape(), vec(any_stop(), 0..24), any_set());
    random(life, |(shape, stops, fails)| {
        let (world, memory, pages) = world_of(&shape);
        for (index, page) in pages.iter().enumerate() {
            world.fail_proof(*page, fails.has(index, pages.len()));
        }
        let mut now = Reckoning::default();
        let mut stops = stops.iter();
        let fed = hand_over_for_good(&world, &(), memory, |window| {
            let stop = stops.next().unwrap_or(&Stop::Plain);
            let answer = |_, left| stop.said(left);
            added(ext_mem_add(&world, &pages, answer, &mut now, window.word()))
        });
        let fed = fed.ok().expect("the ledger is open");
        judge(&shape, &pages, &now, &world, fed);
        assert_eq!((world.retry(), world.last_try()), (0, 0));
        world.check(0);
        for page in &pages {
            world.fail_proof(*page, false);
        }
        world.forgive(&pages);
        assert_eq!(world.recover(), fed.held);
        assert_eq!((world.allocated(), world.records().len()), (0, 0));
        assert_eq!(world.host_bugs(), 0);
    });
}

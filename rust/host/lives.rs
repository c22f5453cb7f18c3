// SPDX-License-Identifier: GPL-2.0

//! Lives of small memory: every mixture of blocks, every answer, every set of pages kept.

use crate::abi::{
    emu::Control,
    field::Field,
    list::{
        Entries,
        HpaArray,
        HpaListInfo,
        IommuMt, //
    },
    Block,
    Hpa,
    Leaf,
    Status, //
};
use crate::blocks::Blocks;
use crate::custody::{
    feed::{
        hand_over_for_good,
        Stopped, //
    },
    lending::Lending,
    listed::Recorded,
    memory::{Memory, Platform},
    transitions::{
        hand_over,
        Answer,
        HandOverError,
        Held,
        ReleaseError,
        State,
        Why, //
    }, //
};
use crate::fed::added;
use crate::model::machine::Machine;
use crate::world::World;

/// Sizes of blocks, and how many of the first are folios.
const MIXTURES: [(&[usize], usize); 12] = [
    (&[1], 0),
    (&[2], 0),
    (&[1, 1], 0),
    (&[1, 2], 0),
    (&[2, 1], 0),
    (&[1, 1, 1], 0),
    (&[4], 0),
    (&[2, 2], 0),
    (&[2], 1),
    (&[2, 1], 1),
    (&[2, 2], 2),
    (&[2, 2, 1, 1], 2),
];

const LEAF: Leaf = Leaf::EXT_MEM_ADD;

/// What a leaf answered.
fn said<'id>(status: Status) -> Answer<'id> {
    // SAFETY: Nothing is really freed; the allocator of the world checks.
    unsafe { Answer::ended(status) }
}

fn pool(world: &World, pages: u64) {
    let id = Field::POOL_REQUIRED_PAGES_U16.raw();
    world.ask(Control::SetField, [id, pages, 0, 0, 0]);
}

fn fault(world: &World, leaf: Leaf, nth: u64, status: Status, after: bool) {
    let operands = [leaf.number(), nth, status.raw(), u64::from(after), 1];
    world.ask(Control::Fail, operands);
}

fn world() -> World {
    let world = World::new();
    pool(&world, 40);
    world
}

/// One list, all or nothing.
fn take<'id>(world: &World, memory: Recorded<'id, Blocks>) -> Answer<'id> {
    match memory.list(world.root()) {
        Ok(listed) => said(world.ext_mem_add(listed.list_info()).0),
        Err(answer) => answer,
    }
}

fn give(world: &World, memory: Blocks) -> Result<Held<Blocks, World>, HandOverError<Blocks>> {
    hand_over(world, &(), memory, LEAF, |m| take(world, m))
}

fn pages_of(world: &World, memory: &Blocks) -> Vec<Hpa> {
    assert!(world.allocated() >= memory.pages());
    memory.hpas().collect()
}

#[test]
fn released_with_every_set_of_pages_kept() {
    let mut lives = 0;
    for (sizes, folios) in MIXTURES {
        let n: usize = sizes.iter().sum();
        for kept in 0..1u32 << n {
            for list_ok in [true, false] {
                lives += 1;
                let world = world();
                let memory = world.blocks(sizes, folios);
                let pages = pages_of(&world, &memory);
                let held = give(&world, memory).ok().expect("taken");
                world.check(0);
                let is_kept = |index: usize| kept >> index & 1 != 0;
                let released = held.release(Leaf::IOMMU_CLEAR, |_| {
                    for (index, page) in pages.iter().enumerate() {
                        if !is_kept(index) {
                            world.let_go(*page);
                        }
                    }
                    said(Status::SUCCESS).with_list(list_ok)
                });
                assert_eq!(world.proofs(), n, "one proof a page");
                match released {
                    Ok(memory) => {
                        assert!(kept == 0 && list_ok);
                        world.check(n);
                        drop(memory);
                    }
                    Err(ReleaseError::Settled(settled)) => {
                        assert!(kept != 0 || !list_ok);
                        // A folio stays whole while one of its pages is kept.
                        let mut start = 0;
                        let mut stays = 0;
                        for (block, size) in sizes.iter().enumerate() {
                            let bad = (start..start + size).filter(|i| is_kept(*i)).count();
                            stays += if block < folios && bad > 0 {
                                *size
                            } else {
                                bad
                            };
                            start += size;
                        }
                        assert_eq!((settled.quarantined, settled.freed), (stays, n - stays));
                        let first = (0..n).find(|index| is_kept(*index));
                        assert_eq!(settled.cause.unproved.map(|page| page.index), first);
                        world.check(0);
                        // One page after the other comes to its senses.
                        for (index, page) in pages.iter().enumerate() {
                            if is_kept(index) {
                                world.let_go(*page);
                                world.retry();
                                world.check(0);
                            }
                        }
                    }
                    Err(ReleaseError::StillHeld(..)) => panic!("the leaf succeeded"),
                }
                world.check(0);
                assert_eq!(world.allocated(), 0);
                assert!(world.records().is_empty());
            }
        }
    }
    println!("{lives} lives");
}

#[test]
fn hand_over_that_fails() {
    for (sizes, folios) in MIXTURES {
        let n: usize = sizes.iter().sum();
        for (status, executed) in [
            (Status::UD, false),
            (Status::SYS_SHUTDOWN, false),
            (Status::OPERAND_INVALID, false),
            (Status::OPERAND_BUSY, true),
            (Status::INTERRUPTED_RESUMABLE, true),
            (Status::PAGE_NOT_FREE, true),
        ] {
            // Nothing was taken.
            let world = world();
            fault(&world, LEAF, 1, status, false);
            match give(&world, world.blocks(sizes, folios)) {
                Err(HandOverError::Back(memory, same)) => {
                    assert_eq!((memory.pages(), same), (n, status));
                    assert_eq!(world.proofs(), if executed { n } else { 0 });
                    world.check(n);
                }
                _ => panic!("{status}: the memory is the host's"),
            }
            world.check(0);
            assert_eq!(world.allocated(), 0);

            // Everything was taken all the same. A status that says "not executed" is trusted:
            // the dispatcher of the TDX Module checks it before any operand.
            if executed {
                let world = self::world();
                fault(&world, LEAF, 1, status, true);
                match give(&world, world.blocks(sizes, folios)) {
                    Err(HandOverError::Settled(settled)) => {
                        assert_eq!((settled.freed, settled.quarantined), (0, n));
                        assert_eq!(settled.cause.why, Why::HandOverFailed);
                    }
                    _ => panic!("{status}: the pages are quarantined"),
                }
                world.check(0);
            }
        }
    }
}

#[test]
fn abandoned_is_not_put_to_the_proof() {
    let world = world();
    let held = hand_over(&world, &(), world.blocks(&[2, 1], 1), LEAF, |_| {
        Answer::given_up(Status::INTERRUPTED_RESUMABLE)
    });
    assert!(matches!(held, Err(HandOverError::Settled(s)) if s.cause.why == Why::Abandoned));
    assert_eq!(world.proofs(), 0);
    world.check(0);
    assert_eq!(world.allocated(), 3);
}

#[test]
fn refused_gives_the_memory_back() {
    let world = world();
    world.close();
    let back = give(&world, world.blocks(&[2, 1], 0));
    assert!(matches!(&back, Err(HandOverError::Refused(memory, _)) if memory.pages() == 3));
    drop(back);
    assert_eq!(world.allocated(), 0);
}

#[test]
fn release_that_fails_can_be_tried_again() {
    let world = world();
    let memory = world.blocks(&[4], 0);
    let pages = pages_of(&world, &memory);
    let mut held = give(&world, memory).ok().expect("taken");
    for status in [
        Status::OPERAND_BUSY,
        Status::UD,
        Status::INTERRUPTED_RESUMABLE,
    ] {
        held = match held.release(Leaf::IOMMU_CLEAR, |_| said(status)) {
            Err(ReleaseError::StillHeld(held, same)) => {
                assert_eq!(same, status);
                held
            }
            _ => panic!("{status}: still held"),
        };
        world.check(0);
        assert_eq!((world.proofs(), world.allocated()), (0, 4));
    }
    let memory = held.release(Leaf::IOMMU_CLEAR, |_| {
        pages.iter().for_each(|page| world.let_go(*page));
        said(Status::SUCCESS)
    });
    assert_eq!(memory.ok().expect("released").pages(), 4);
    assert_eq!(world.dropped_handles(), 0);
}

#[test]
fn dropped_and_forgotten_stay_on_record() {
    let world = world();
    drop(give(&world, world.blocks(&[2], 0)));
    std::mem::forget(give(&world, world.blocks(&[1], 0)));
    assert_eq!(world.dropped_handles(), 1);
    let held = Some(State::Held);
    assert_eq!(world.records(), [(held, 2), (held, 1)]);
    world.check(0);
}

#[test]
fn held_for_good_is_a_state() {
    let world = world();
    let held = give(&world, world.blocks(&[2], 0)).ok().expect("taken");
    held.hold_for_good();
    assert_eq!(world.records(), [(Some(State::HeldForGood), 2)]);
    assert_eq!(world.dropped_handles(), 0);
}

#[test]
fn reclaimed_page_by_page() {
    let world = world();
    let memory = world.blocks(&[2, 1], 0);
    let pages = pages_of(&world, &memory);
    let held = give(&world, memory).ok().expect("taken");
    pages.iter().for_each(|page| world.let_go(*page));
    assert!(held.release_by_reclaim().is_ok());
    assert_eq!(world.allocated(), 0);

    // The pool cannot be reclaimed.
    let held = give(&world, world.blocks(&[2, 1], 0)).ok().expect("taken");
    assert!(matches!(held.release_by_reclaim(), Err(ReleaseError::Settled(s)) if s.freed == 0));
    world.check(0);
    assert_eq!(world.allocated(), 3);
}

#[test]
fn fed_and_stopped_anywhere() {
    for (sizes, folios) in MIXTURES {
        let n: usize = sizes.iter().sum();
        for interrupted_every in 0..=n as u64 {
            for fails_at in 0..=n as u64 {
                let world = world();
                let operands = [LEAF.number(), interrupted_every, 0, 0, 0];
                world.ask(Control::Interrupt, operands);
                if fails_at > 0 {
                    fault(&world, LEAF, fails_at, Status::OPERAND_BUSY, false);
                }
                let memory = world.blocks(sizes, folios);
                let fed =
                    hand_over_for_good(&world, &(), memory, |w| added(world.ext_mem_add(w.word())));
                let fed = fed.ok().expect("entered");
                let calls = match interrupted_every {
                    0 => 1,
                    k => (n as u64).div_ceil(k),
                };
                let fails = fails_at > 0 && fails_at <= calls;
                let taken = if fails {
                    (fails_at - 1) * interrupted_every
                } else {
                    n as u64
                };
                let failed = Stopped::Status(Status::OPERAND_BUSY);
                assert_eq!(fed.stopped, fails.then_some(failed));
                // A folio is freed as a whole or not at all.
                let mut start = 0;
                let mut held = 0;
                for (block, size) in sizes.iter().enumerate() {
                    let gone = (taken as usize).saturating_sub(start).min(*size);
                    held += if block < folios && gone > 0 {
                        *size
                    } else {
                        gone
                    };
                    start += size;
                }
                assert_eq!((fed.held, fed.freed), (held, n - held));
                assert_eq!(fed.unproved, None);
                world.check(0);
            }
        }
    }
}

#[test]
fn words_that_cannot_be() {
    type Lie = fn(HpaListInfo) -> HpaListInfo;
    let lies: [(Lie, Stopped); 3] = [
        (|word| word, Stopped::Stalled),
        (
            |word| word.with_first(word.last() + 1),
            Stopped::Word(crate::abi::list::ListWordError::PastTheEnd),
        ),
        (
            |word| HpaListInfo::from_raw(word.raw() ^ 1 << 12),
            Stopped::Word(crate::abi::list::ListWordError::Changed),
        ),
    ];
    for (lie, stopped) in lies {
        // Nothing was taken, whatever the word says.
        let world = world();
        let fed = hand_over_for_good(&world, &(), world.blocks(&[2, 1], 0), |window| {
            let word = window.word();
            added((Status::INTERRUPTED_RESUMABLE, lie(word)))
        });
        let fed = fed.ok().expect("entered");
        assert_eq!((fed.stopped, fed.held, fed.freed), (Some(stopped), 0, 3));
        assert_eq!(world.allocated(), 0);

        // Everything was taken, whatever the word says.
        let world = self::world();
        let fed = hand_over_for_good(&world, &(), world.blocks(&[2, 1], 0), |window| {
            let word = window.word();
            assert_eq!(world.ext_mem_add(word).0, Status::SUCCESS);
            added((Status::INTERRUPTED_RESUMABLE, lie(word)))
        });
        let fed = fed.ok().expect("entered");
        assert_eq!((fed.stopped, fed.held, fed.freed), (Some(stopped), 3, 0));
        assert_eq!(fed.unproved.map(|page| page.index), Some(0));
        world.check(0);
    }
}

#[test]
fn the_highest_page_is_named_in_full() {
    const HIGHEST: u64 = 0x000f_ffff_ffff_f000;
    let page = Hpa::new(HIGHEST).expect("bits 51:12");
    assert_eq!(Hpa::from_bits(u64::MAX), page);
    assert_eq!(Block::single(page).raw(), HIGHEST);
    let two = Entries::new(2).expect("1 to 512");
    assert_eq!(HpaArray::new(two, page, page).raw(), HIGHEST | 1 << 55);
    let word = HpaListInfo::new(two, page);
    assert_eq!((word.raw(), word.root()), (HIGHEST | 1 << 55, page));
    assert_eq!(IommuMt::new(page).raw(), HIGHEST);
}

/// Lent for leaves of every kind of end, in every order of two.
#[test]
fn lent_again_and_again() {
    for (sizes, folios) in MIXTURES {
        for script in 0..16 {
            let world = world();
            let memory = world.blocks(sizes, folios);
            let pages = pages_of(&world, &memory);
            let mut lending = Lending::new(&world, &(), memory).ok().expect("open");
            let mut away = false;
            for step in [script % 4, script / 4] {
                let mut called = false;
                let lent = lending.lend(LEAF, |shared| {
                    called = true;
                    assert_eq!(shared.page(0), pages.first().copied());
                    match step {
                        0 => said(Status::SUCCESS),
                        1 => said(Status::SPDM_REQUEST),
                        2 => Answer::failed(Status::OPERAND_BUSY),
                        _ => Answer::given_up(Status::INTERRUPTED_RESUMABLE),
                    }
                });
                assert_eq!(called, !away, "what is away is not lent");
                away |= step == 3;
                assert_eq!(lent.is_err(), away);
                assert_eq!(lending.memory().is_some(), !away);
                assert_eq!(world.proofs(), 0, "there is nothing to prove");
                assert_eq!(world.allocated(), pages.len());
                world.promise();
            }
            drop(lending);
            if away {
                assert_eq!(world.allocated(), pages.len());
                // The leaf has come to its end, as far as the world knows.
                assert_eq!(world.retry(), pages.len());
            }
            assert_eq!((world.allocated(), world.records().len()), (0, 0));
        }
    }
}

/// The list of what is lent is made once, without the folios, and is good for that memory only.
#[test]
fn told_without_the_folios() {
    let world = world();
    let memory = world.blocks(&[1, 1, 2, 1], 2);
    let hpas: Vec<u64> = memory.hpas().map(Hpa::get).collect();
    let mut one = Lending::new(&world, &(), memory).ok().expect("open");
    let mut other = Lending::new(&world, &(), world.blocks(&[1, 2], 1))
        .ok()
        .expect("open");
    let told = one.tell(world.root()).expect("few pages");
    for _ in 0..2 {
        let status = one.lend(LEAF, |shared| {
            let array = shared.array(&told).expect("its own list");
            assert_eq!(array.raw() >> 55, 2);
            let word = |index| world.model(|m| m.machine_mut().read(array.page(), index));
            assert_eq!([0, 1, 2].map(word), [2, 3, 4].map(|n| Some(hpas[n])));
            said(Status::SUCCESS)
        });
        assert_eq!(status, Ok(Status::SUCCESS));
    }
    let status = other.lend(LEAF, |shared| {
        assert_eq!(shared.array(&told), None);
        said(Status::SUCCESS)
    });
    assert_eq!(status, Ok(Status::SUCCESS));
    drop((one, other, told));
    assert_eq!(world.allocated(), 0);
}

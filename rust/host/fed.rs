// SPDX-License-Identifier: GPL-2.0

//! Every life of a pool that is fed by list, in windows of 512.
//!
//! The TDX Module takes any set of what a list word offers, whatever it says of it. What custody may
//! ask for in each call, what it must prove, free and hold, is reckoned here from the answers alone.

use crate::abi::{
    list::{
        HpaListInfo,
        ListWordError, //
    },
    status::Operand,
    Hpa,
    Status,
    ROOT_ENTRIES, //
};
use crate::custody::{
    feed::{
        hand_over_for_good,
        Added,
        Fed,
        Stopped, //
    },
    memory::{
        Memory,
        Refusal, //
    },
    transitions::State, //
};
use crate::model::{
    machine::Machine,
    page::{
        PageState,
        PageType, //
    }, //
};
use crate::shape::{
    Shape,
    BLOCKS,
    FOLIOS, //
};
use crate::tape::{
    every_life,
    Seen,
    Tape, //
};
use crate::world::{
    World,
    CONFIG, //
};

/// Answers other than plain success.
const BUDGET: usize = 3;

/// Two windows, cut inside and outside of a block.
const WINDOWS: [Shape; 2] = [Shape::blocks(&[512, 1]), Shape::blocks(&[1, 512])];

/// The first entry in the list word that comes back, or what else is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// So many entries further on.
    Moved(usize),
    /// One entry back.
    Back,
    /// Past the last entry.
    PastTheEnd,
    /// These bits are turned over, and it has moved on where it can.
    Changed(u64),
}

/// Which of the entries that are left the TDX Module takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Took {
    /// The first so many.
    First(usize),
    /// Those in this set, one bit for each.
    Set(u64),
    /// One of so many.
    OneOf(usize),
}

impl Took {
    fn has(self, entry: usize) -> bool {
        match self {
            Self::First(count) => entry < count,
            Self::Set(set) => entry < 64 && set >> entry & 1 != 0,
            Self::OneOf(count) => entry % count == 0,
        }
    }
}

/// An answer other than plain success.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) status: Status,
    pub(crate) took: Took,
    pub(crate) word: Word,
}

/// All answers to a word whose first entry is `first` and that has `left` entries, plain success
/// first.
fn answers(first: usize, left: usize) -> Vec<Said> {
    let failure = Status::PAGE_METADATA_INCORRECT.on(Operand::Rcx);
    let stay = Word::Moved(0);
    let said = |status, took, word| Said { status, took, word };
    let mut all = vec![
        said(Status::SUCCESS, Took::First(left), stay),
        said(Status::UD, Took::First(0), stay),
        said(Status::OPERAND_INVALID, Took::First(0), stay),
    ];
    let small = left <= 5;
    // Of many entries a few stand for all.
    let cuts: Vec<usize> = if small {
        (0..left).collect()
    } else {
        vec![0, 1, 63, 64, 65, left - 1]
    };
    let tooks: Vec<Took> = if small {
        (0..1u64 << left).map(Took::Set).collect()
    } else {
        let cut = cuts.iter().map(|cut| Took::First(*cut));
        let odd = [1 << 1, 1 << 63, 1 | 1 << 63];
        cut.chain([Took::First(left)])
            .chain(odd.into_iter().map(Took::Set))
            .collect()
    };
    // As it should be: what is said to be taken is.
    for cut in &cuts {
        for status in [Status::OPERAND_BUSY, Status::PAGE_ALREADY_FREE] {
            all.push(said(status, Took::First(*cut), Word::Moved(*cut)));
        }
    }
    let mut words: Vec<Word> = cuts.iter().map(|cut| Word::Moved(*cut)).collect();
    if first > 0 {
        words.push(Word::Back);
    }
    words.push(Word::PastTheEnd);
    words.extend([0, 2, 12, 51, 52, 55, 63].map(|bit| Word::Changed(1 << bit)));
    for took in tooks {
        all.push(said(Status::SUCCESS, took, stay));
        for word in &words {
            all.push(said(failure, took, *word));
            all.push(said(Status::INTERRUPTED_RESUMABLE, took, *word));
        }
    }
    // After its whole effect.
    all.push(said(Status::OPERAND_BUSY, Took::First(left), stay));
    all.push(said(
        Status::OPERAND_BUSY,
        Took::First(left),
        Word::PastTheEnd,
    ));
    all
}

/// The answers to each word there can be.
struct Answers(Vec<((usize, usize), Vec<Said>)>);

impl Answers {
    /// What the tape says; [`None`] for plain success.
    fn choose(&mut self, tape: &Tape, first: usize, left: usize) -> Option<Said> {
        let all = self.get(first, left);
        let choice = tape.answer("TDH.EXT.MEM.ADD", all.len());
        (choice > 0).then(|| all[choice])
    }

    fn get(&mut self, first: usize, left: usize) -> &[Said] {
        let at = self.0.iter().position(|known| known.0 == (first, left));
        let at = at.unwrap_or_else(|| {
            self.0.push(((first, left), answers(first, left)));
            self.0.len() - 1
        });
        &self.0[at].1
    }
}

/// What the answers so far amount to, in pages from the first.
#[derive(Default)]
pub(crate) struct Reckoning {
    /// The first page of the window.
    start: usize,
    taken: usize,
    offered: usize,
    /// The leaf must not be called again.
    over: bool,
    stopped: Option<Stopped>,
}

impl Reckoning {
    /// A window of `pages` pages in all is complete.
    fn complete(&mut self, pages: usize) {
        self.taken = self.offered;
        self.start = self.offered;
        self.over = self.start == pages;
    }
}

/// The leaf was called, and came to this.
pub(crate) fn added<'id>((status, back): (Status, HpaListInfo)) -> Added<'id> {
    // SAFETY: Nothing is really freed; the allocator of the world checks.
    unsafe { Added::new(status, back) }
}

/// One call of TDH.EXT.MEM.ADD. `answer` is given the first entry and how many are left.
pub(crate) fn ext_mem_add(
    world: &World,
    pages: &[Hpa],
    answer: impl FnOnce(usize, usize) -> Option<Said>,
    now: &mut Reckoning,
    word: HpaListInfo,
) -> (Status, HpaListInfo) {
    assert!(!now.over, "a list that has ended is fed again");
    let window = &pages[now.start..pages.len().min(now.start + ROOT_ENTRIES)];
    let first = now.taken - now.start;
    assert_eq!((word.first(), word.last()), (first, window.len() - 1));
    assert!(!word.has_reserved_bits());
    for (entry, page) in window.iter().enumerate() {
        let listed = world.model(|model| model.machine_mut().read(word.root(), entry));
        assert_eq!(listed, Some(page.get()), "entry {entry} of the list");
    }
    world.assert_flushed(window);

    let left = window.len() - first;
    let Some(said) = answer(first, left) else {
        let (status, back) = world.ext_mem_add(word);
        now.offered = now.start + window.len();
        if status.is_success() {
            now.complete(pages.len());
        } else {
            // It finds pages that it has taken before, and said nothing of.
            now.taken += back.first() - first;
            now.over = true;
            now.stopped = Some(Stopped::Status(status));
        }
        return (status, back);
    };
    let Said {
        status,
        took,
        word: back,
    } = said;
    for (entry, page) in window[first..].iter().enumerate() {
        if took.has(entry) {
            world.set_state(*page, PageState::taken(PageType::Pool, 0));
        }
    }
    if !status.is_not_executed() || first > 0 {
        now.offered = now.start + window.len();
    }
    if status.is_success() {
        now.complete(pages.len());
        return (status, word);
    }
    // The first entry of a complete list of 512 comes round to 0.
    let end = window.len() % ROOT_ENTRIES;
    let moved_on = word.with_first(first + usize::from(left > 1));
    let (back, moved) = match back {
        Word::Moved(count) => (word.with_first(first + count), Ok(count)),
        Word::Back => (word.with_first(first - 1), Err(ListWordError::Backwards)),
        Word::PastTheEnd if end > 0 => (word.with_first(end), Err(ListWordError::PastTheEnd)),
        Word::PastTheEnd if first > 0 => (word.with_first(0), Err(ListWordError::Backwards)),
        Word::PastTheEnd => (word.with_first(0), Ok(0)),
        Word::Changed(bits) => (
            HpaListInfo::from_raw(moved_on.raw() ^ bits),
            Err(ListWordError::Changed),
        ),
    };
    now.taken += moved.unwrap_or(0);
    now.stopped = match (status, moved) {
        (Status::INTERRUPTED_RESUMABLE, Err(problem)) => Some(Stopped::Word(problem)),
        (Status::INTERRUPTED_RESUMABLE, Ok(0)) => Some(Stopped::Stalled),
        (Status::INTERRUPTED_RESUMABLE, Ok(_)) => None,
        (status, _) if status.raw() >> 63 == 0 => Some(Stopped::Note(status)),
        (status, _) => Some(Stopped::Status(status)),
    };
    now.over = now.stopped.is_some();
    (status, back)
}

/// Holds the outcome against the answers.
pub(crate) fn judge(shape: &Shape, pages: &[Hpa], now: &Reckoning, world: &World, fed: Fed) {
    let proofs = world.take_proofs();
    let asked: Vec<Hpa> = proofs.iter().map(|proof| proof.0).collect();
    assert!(
        asked == pages[now.taken..now.offered],
        "a proof for what was offered and is not said to be taken, and for nothing else"
    );
    let unproved = |page: usize| {
        let proof = page.checked_sub(now.taken).and_then(|at| proofs.get(at));
        page < now.taken || proof.is_some_and(|proof| !proof.1.is_success())
    };
    let held = shape.stays(unproved);
    assert_eq!((fed.held, fed.freed), (held, pages.len() - held));
    let first = proofs.iter().position(|proof| !proof.1.is_success());
    let told = fed.unproved.map(|page| (page.index, page.status));
    assert_eq!(told, first.map(|at| (now.taken + at, proofs[at].1)));
    assert_eq!(fed.stopped, now.stopped);
    if now.stopped.is_none() {
        assert_eq!(held, pages.len());
    }
    let records = world.records();
    if held == 0 {
        assert!(records.is_empty());
    } else {
        assert_eq!(records, [(Some(State::HeldForGood), held)]);
    }
    world.check(0);
}

fn live(world: &World, tape: &Tape, shape: Shape, all: &mut Answers) {
    let memory = world.blocks(shape.sizes, shape.folios);
    let pages: Vec<Hpa> = memory.hpas().collect();
    if tape.choose("ledger is closed", 2) == 1 {
        world.close();
        let refused = hand_over_for_good(world, &(), memory, |_| unreachable!("it is closed"));
        assert!(
            matches!(&refused, Err((Refusal::Closed, memory)) if memory.pages() == pages.len())
        );
        drop(refused);
        assert_eq!(world.allocated(), 0);
        return;
    }
    let mut now = Reckoning::default();
    let fed = hand_over_for_good(world, &(), memory, |window| {
        let answer = |first, left| all.choose(tape, first, left);
        added(ext_mem_add(world, &pages, answer, &mut now, window.word()))
    });
    let Ok(fed) = fed else {
        unreachable!("the ledger is open");
    };
    judge(&shape, &pages, &now, world, fed);
    if !tape.rest(world.key(&pages)) {
        return;
    }
    // Neither the ledger's next try nor its last one is for what is held for good.
    assert_eq!((world.retry(), world.last_try()), (0, 0));
    assert_eq!(world.proofs(), 0);
    world.check(0);
    world.forgive(&pages);
    assert_eq!(world.recover(), fed.held);
    assert_eq!((world.allocated(), world.records().len()), (0, 0));
}

fn lives_of(shapes: &[Shape], machine: usize, budget: usize) {
    let mut sum = Seen::default();
    for shape in shapes {
        let world = World::with(machine, CONFIG, Tape::default());
        if shape.pages() > ROOT_ENTRIES {
            let memory = world.blocks(shape.sizes, shape.folios);
            let pages: Vec<Hpa> = memory.hpas().collect();
            let few = [0, 1, 63, 64, 65, 511, 512];
            world.doubt(few.map(|page| pages[page]).to_vec());
        }
        let mut all = Answers(Vec::new());
        let seen = every_life(budget, |tape| {
            world.renew();
            world.set_tape(tape);
            live(&world, tape, *shape, &mut all);
            assert_eq!(world.host_bugs(), 0);
        });
        println!("{shape:?}: {seen:?}");
        sum.add(seen);
    }
    println!(
        "at most {budget} answers other than plain success: {} lives, {} states",
        sum.lives, sum.states
    );
}

#[test]
fn every_life_of_a_pool() {
    lives_of(&BLOCKS, 16, BUDGET);
    lives_of(&FOLIOS, 16, BUDGET);
}

#[test]
fn every_life_of_two_windows() {
    // Room for a block of 512 that begins at a multiple of that, and for root pages.
    lives_of(&WINDOWS, 1024 + 8, BUDGET - 1);
}

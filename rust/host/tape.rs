// SPDX-License-Identifier: GPL-2.0

//! A tape of choices, by which every life is lived once.
//!
//! A life asks the tape for a number at each point where it could go on in more than one way. After
//! the life the tape is moved on like an odometer, and the next life repeats all but the last of its
//! choices that has one left. An answer of the TDX Module other than plain success costs one of the
//! budget; when that is used up, every further answer is plain success.
//!
//! A life that comes to rest in a state where an earlier one has been, with as much of the budget
//! left, would go on as that one did. So it ends there, and counts for as many lives as that one
//! went on to.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt,
    rc::Rc, //
};

/// All that decides how a life goes on.
pub(crate) type Key = Vec<u8>;

#[derive(Clone, Copy)]
struct Digit {
    what: &'static str,
    at: usize,
    of: usize,
    cost: usize,
}

/// A state on the way of the present life.
struct Rest {
    place: usize,
    key: Key,
    lives: u64,
}

#[derive(Default)]
struct Inner {
    digits: Vec<Digit>,
    next: usize,
    budget: usize,
    spent: usize,
    // From this place on no life has been before.
    fresh: usize,
    path: Vec<Rest>,
    known: HashMap<Key, u64>,
    // Set when the life comes to a known state: how many lives went on from there.
    cut: Option<u64>,
    lives: u64,
    runs: u64,
}

/// A handle on a tape. Without one that is driven by [`every_life`] all answers are plain success.
#[derive(Clone, Default)]
pub(crate) struct Tape(Rc<RefCell<Inner>>);

/// What was seen of all lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// All lives.
    pub(crate) lives: u64,
    /// Those that were lived one by one.
    pub(crate) runs: u64,
    /// Distinct states at rest.
    pub(crate) states: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: Self) {
        self.lives += other.lives;
        self.runs += other.runs;
        self.states += other.states;
    }
}

impl Tape {
    /// One of `of` ways to go on, from 0 on, that cost nothing.
    pub(crate) fn choose(&self, what: &'static str, of: usize) -> usize {
        self.0.borrow_mut().digit(what, of, 0)
    }

    /// One of `of` answers of the TDX Module. The first is plain success; any other costs.
    pub(crate) fn answer(&self, what: &'static str, of: usize) -> usize {
        let mut inner = self.0.borrow_mut();
        if inner.spent == inner.budget {
            return 0;
        }
        inner.digit(what, of, 1)
    }

    /// Whether an earlier life has come to this point in the same way.
    pub(crate) fn repeats(&self) -> bool {
        let inner = self.0.borrow();
        inner.next < inner.fresh
    }

    /// The life is at rest in a state. Returns whether it is to go on.
    pub(crate) fn rest(&self, key: Key) -> bool {
        self.0.borrow_mut().rest(key)
    }
}

impl Inner {
    fn digit(&mut self, what: &'static str, of: usize, cost: usize) -> usize {
        assert!(of > 0, "{what}: nothing to choose from");
        if self.next == self.digits.len() {
            self.digits.push(Digit {
                what,
                at: 0,
                of,
                cost,
            });
        }
        let digit = self.digits[self.next];
        assert_eq!(
            (digit.what, digit.of),
            (what, of),
            "a life does not repeat itself"
        );
        self.next += 1;
        self.spent += if digit.at > 0 { digit.cost } else { 0 };
        digit.at
    }

    fn rest(&mut self, mut key: Key) -> bool {
        // The present life repeats an earlier one up to here.
        if self.next < self.fresh {
            return true;
        }
        key.push((self.budget - self.spent) as u8);
        assert!(
            self.path.iter().all(|rest| rest.key != key),
            "a life comes back to where it was"
        );
        if let Some(lives) = self.known.get(&key) {
            self.cut = Some(*lives);
            return false;
        }
        self.path.push(Rest {
            place: self.next,
            key,
            lives: 0,
        });
        true
    }

    fn count(&mut self, lives: u64) {
        match self.path.last_mut() {
            Some(rest) => rest.lives += lives,
            None => self.lives += lives,
        }
    }

    /// The states that were come to after `place` choices or later have been lived to their ends.
    fn leave(&mut self, place: usize) {
        while self.path.last().is_some_and(|rest| rest.place >= place) {
            if let Some(rest) = self.path.pop() {
                self.known.insert(rest.key, rest.lives);
                self.count(rest.lives);
            }
        }
    }

    /// Ends a life. Returns whether there is another one.
    fn advance(&mut self) -> bool {
        assert_eq!(self.next, self.digits.len(), "a life ended early");
        let lives = self.cut.take().unwrap_or(1);
        self.count(lives);
        self.runs += 1;
        self.next = 0;
        self.spent = 0;
        while self
            .digits
            .last()
            .is_some_and(|last| last.at + 1 == last.of)
        {
            self.digits.pop();
        }
        self.fresh = self.digits.len();
        self.leave(self.fresh);
        match self.digits.last_mut() {
            Some(last) => {
                last.at += 1;
                true
            }
            None => false,
        }
    }
}

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.0.borrow();
        for digit in &inner.digits[..inner.next] {
            write!(f, "\n    {}: {} of {}", digit.what, digit.at, digit.of)?;
        }
        Ok(())
    }
}

/// Tells the tape of a life that panics.
struct Teller<'a>(&'a Tape);

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the life that went wrong:{}", self.0);
        }
    }
}

/// Lives every life in which at most `budget` answers are other than plain success.
pub(crate) fn every_life(budget: usize, mut life: impl FnMut(&Tape)) -> Seen {
    let tape = Tape::default();
    tape.0.borrow_mut().budget = budget;
    loop {
        let teller = Teller(&tape);
        life(&tape);
        drop(teller);
        if !tape.0.borrow_mut().advance() {
            break;
        }
    }
    let inner = tape.0.borrow();
    Seen {
        lives: inner.lives,
        runs: inner.runs,
        states: inner.known.len() as u64,
    }
}

#[test]
fn every_way_is_gone_once() {
    let mut ways = Vec::new();
    let seen = every_life(1, |tape| {
        let mut way = vec![tape.choose("a", 2)];
        for _ in 0..way[0] + 1 {
            way.push(tape.answer("b", 3));
        }
        ways.push(way);
    });
    let want: [&[usize]; 8] = [
        &[0, 0],
        &[0, 1],
        &[0, 2],
        &[1, 0, 0],
        &[1, 0, 1],
        &[1, 0, 2],
        &[1, 1, 0],
        &[1, 2, 0],
    ];
    assert_eq!(ways, want);
    assert_eq!((seen.lives, seen.runs, seen.states), (8, 8, 0));
}

#[test]
fn a_known_state_is_gone_on_from_once_and_counts() {
    let life = |tape: &Tape, merge: bool| {
        let mut sum = 0;
        for step in 0..4u8 {
            sum += tape.choose("step", 3);
            tape.answer("answer", 2);
            if merge && !tape.rest(vec![step, sum as u8]) {
                return;
            }
        }
    };
    let apart = every_life(2, |tape| life(tape, false));
    let merged = every_life(2, |tape| life(tape, true));
    assert_eq!(apart.lives, 81 * (1 + 4 + 6));
    assert_eq!((merged.lives, apart.runs), (apart.lives, apart.lives));
    assert!(merged.runs < apart.runs / 4 && merged.states > 0);
}

// SPDX-License-Identifier: GPL-2.0

//! One object that was handed over; see [`ledger`](super::ledger).

mod moment;
mod shown;

pub(crate) use self::shown::Shown;

use super::{
    lent::{
        Failures,
        Lent, //
    },
    state::{
        Cause,
        State,
        Why, //
    }, //
};
use crate::platform::Kernel;
use crate::print::{
    may_tell,
    may_tell_news,
    Proof, //
};
#[cfg(TDX_PAGES_KUNIT)]
use crate::reached::{
    self,
    Place, //
};
use crate::trace;
use crate::users::{
    account::Gauge,
    registry::Owner, //
};
use kernel::{
    list::ListLinks,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};
use moment::Moment;

/// How often the last try is made again for pages whose proof met a TDX Module that was busy, and
/// after what pause.
const LAST_TRIES: usize = 3;
const LAST_PAUSE: Delta = Delta::from_millis(10);

/// One object that was handed over.
#[pin_data]
pub(crate) struct Record {
    owner: Owner,
    // Four bytes: a record is to be small. See `Record::pages`.
    pages: u32,
    // No handle speaks for it any more: it was dropped, or the ledger was closed.
    dropped: Atomic<bool>,
    // Both are said once, by the ledger, in the lock of the book; see `Record::shelve`.
    home: Atomic<usize>,
    number: Atomic<u64>,
    #[pin]
    links: ListLinks,
    #[pin]
    cell: Mutex<Cell>,
}

kernel::list::impl_list_arc_safe! {
    impl ListArcSafe<0> for Record { untracked; }
}

kernel::list::impl_list_item! {
    impl ListItem<0> for Record { using ListLinks { self.links }; }
}

struct Cell {
    // `None` while somebody works on it.
    lent: Option<Lent<Kernel>>,
    // What the owner's account says of this record; `None` before the first answer.
    booked: Option<Booked>,
    // The ledger was closed while somebody worked on it.
    closed: bool,
    // When it came into the state it is in, but for what was dropped: that keeps no time, since it
    // may be dropped in any context.
    since: Moment,
    // How often it was tried again.
    tries: u32,
}

#[derive(Clone, Copy)]
struct Booked {
    state: State,
    pages: usize,
}

/// One bit for each page. A few are in place.
pub(crate) enum Bits {
    /// For up to 64 pages.
    Few([u64; 1]),
    /// For more.
    Many(KVVec<u64>),
}

impl Bits {
    /// So many words, all zero.
    pub(super) fn new(words: usize) -> Result<Self> {
        match words {
            0..=1 => Ok(Self::Few([0])),
            _ => Ok(Self::Many(KVVec::from_elem(0, words, GFP_KERNEL)?)),
        }
    }
}

impl AsRef<[u64]> for Bits {
    #[inline]
    fn as_ref(&self) -> &[u64] {
        match self {
            Self::Few(word) => word,
            Self::Many(words) => words,
        }
    }
}

impl AsMut<[u64]> for Bits {
    #[inline]
    fn as_mut(&mut self) -> &mut [u64] {
        match self {
            Self::Few(word) => word,
            Self::Many(words) => words,
        }
    }
}

/// What an attachment leaves behind, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// Held for good: the contract, not a loss.
    pub(crate) held_for_good: usize,
    /// Not let go by the TDX Module.
    pub(crate) lost: usize,
}

/// One round of trying again, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Proved now, and freed.
    pub(crate) freed: usize,
    /// Still in quarantine.
    pub(crate) left: usize,
}

impl Round {
    pub(super) fn add(&mut self, other: Self) {
        self.freed += other.freed;
        self.left += other.left;
    }
}

impl Remains {
    pub(super) fn add(&mut self, other: Self) {
        self.held_for_good += other.held_for_good;
        self.lost += other.lost;
    }
}

impl Cell {
    /// Tells the owner's account how this record stands now.
    fn book(&mut self, record: &Record, now: Option<Booked>) {
        let before = core::mem::replace(&mut self.booked, now);
        #[cfg(TDX_PAGES_KUNIT)]
        reached::transition(record.place(before), record.place(now));
        let before = before.map(|booked| (record.gauge(booked.state), booked.pages));
        let now = now.map(|booked| (record.gauge(booked.state), booked.pages));
        record.owner.account().book(before, now);
    }
}

impl Record {
    /// A record of `pages` pages that are being worked on.
    pub(super) fn new(owner: &Owner, pages: u32) -> impl PinInit<Self> + '_ {
        pin_init!(Self {
            owner: owner.clone(),
            pages,
            dropped: Atomic::new(false),
            home: Atomic::new(0),
            number: Atomic::new(0),
            links <- ListLinks::new(),
            cell <- new_mutex!(Cell {
                lent: None,
                booked: None,
                closed: false,
                since: Moment::now(),
                tries: 0,
            }),
        })
    }

    /// Says in which book it is, and which number it has there.
    pub(super) fn shelve(&self, home: usize, number: u64) {
        self.home.store(home, Relaxed);
        self.number.store(number, Relaxed);
    }

    /// The address of its book; 0 before it is in one.
    pub(super) fn home(&self) -> usize {
        self.home.load(Relaxed)
    }

    /// Its number in its book, from 1 in the order in which they came.
    pub(super) fn number(&self) -> u64 {
        self.number.load(Relaxed)
    }

    /// Nothing of it is away any more.
    pub(super) fn strike(&self) {
        self.cell.lock().book(self, None);
    }

    /// The last try, when the ledger is closed.
    pub(super) fn close(&self, platform: &Kernel) -> Remains {
        match self.end() {
            (Some(lent), booked, why) => self.give_up(platform, lent, booked, why),
            // Somebody works on it, and gives it up when it is put back.
            (None, ..) => Remains::default(),
        }
    }

    /// See [`Platform::take`](super::memory::Platform::take).
    pub(crate) fn take(&self) -> Option<Lent<Kernel>> {
        let lent = self.cell.lock().lent.take();
        if lent.is_some() {
            trace::release(&self.owner, self.pages());
        }
        lent
    }

    /// See [`Platform::put`](super::memory::Platform::put).
    pub(crate) fn put(&self, platform: &Kernel, lent: Lent<Kernel>, state: State) {
        let pages = lent.owing();
        let booked = Some(Booked { state, pages });
        match state {
            State::Held => trace::held(&self.owner, pages),
            State::HeldForGood => trace::held_for_good(&self.owner, pages),
            State::Quarantined(cause) => trace::quarantined(&self.owner, pages, &cause),
        }
        self.tell(&lent, state);
        let mut cell = self.cell.lock();
        cell.book(self, booked);
        cell.since = Moment::now();
        if cell.closed {
            drop(cell);
            let why = match state {
                State::Quarantined(cause) => cause.why,
                _ => Why::NeverReleased,
            };
            self.give_up(platform, lent, booked, why);
        } else {
            cell.lent = Some(lent);
        }
    }

    /// Says what goes into quarantine.
    fn tell(&self, lent: &Lent<Kernel>, state: State) {
        let State::Quarantined(cause) = state else {
            return;
        };
        if !may_tell() {
            return;
        }
        pr_err!(
            "{}: {} of {} pages quarantined, {}: {} answered {}{}; out of use, tried again by itself and by debugfs tdx_pages/retry\n",
            self.owner,
            lent.owing(),
            lent.pages(),
            cause.why.text(),
            cause.leaf,
            cause.status,
            Proof(cause.unproved)
        );
    }

    /// See [`Platform::dropped`](super::memory::Platform::dropped).
    pub(crate) fn dropped(&self) {
        if self.dropped.xchg(true, Full) {
            // The ledger was closed before, and has said what became of it.
            return;
        }
        self.owner.account().drop_held(self.pages());
        #[cfg(TDX_PAGES_KUNIT)]
        reached::transition(Place::Held, Place::Dropped);
        if !may_tell() {
            return;
        }
        pr_warn!(
            "{}: dropped while held: {} pages stay with the TDX Module; out of use, tried again by itself and by debugfs tdx_pages/retry\n",
            self.owner,
            self.pages()
        );
    }

    /// Tries again, if it is in quarantine and nobody works on it.
    pub(super) fn retry(&self, platform: &Kernel) -> Round {
        let mut cell = self.cell.lock();
        let Some(Booked { state, pages }) = cell.booked else {
            return Round::default();
        };
        if self.gauge(state) != Gauge::Quarantined || cell.closed {
            return Round::default();
        }
        let Some(mut lent) = cell.lent.take() else {
            // Somebody else tries it just now.
            return Round {
                freed: 0,
                left: pages,
            };
        };
        cell.tries = cell.tries.saturating_add(1);
        drop(cell);

        let why = match state {
            State::Quarantined(cause) => cause.why,
            _ => Why::DroppedWhileHeld,
        };
        let (freed, _) = attempt(platform, &mut lent, why);
        let left = lent.owing();
        trace::retried(&self.owner, freed, left);
        if freed > 0 && may_tell_news() {
            pr_info!(
                "{}: {} pages proved and freed, {} still in quarantine\n",
                self.owner,
                freed,
                left
            );
        }
        let booked = Some(Booked { state, pages: left });
        let mut cell = self.cell.lock();
        cell.book(self, booked);
        if cell.closed {
            drop(cell);
            self.give_up(platform, lent, booked, why);
        } else {
            cell.lent = Some(lent);
        }
        Round { freed, left }
    }

    /// Whether all of its pages came back, so that the record is of no use any more. What somebody
    /// works on is not.
    pub(super) fn is_empty(&self) -> bool {
        let cell = self.cell.lock();
        cell.lent.as_ref().is_some_and(|lent| lent.owing() == 0)
    }

    /// Pages that it was made for.
    pub(super) fn pages(&self) -> usize {
        // CAST: 32 bits fit.
        self.pages as usize
    }

    /// Who owns it.
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Where the pages are counted: what was held when its handle was dropped is in quarantine.
    fn gauge(&self, state: State) -> Gauge {
        match state {
            State::HeldForGood => Gauge::HeldForGood,
            State::Held if !self.dropped.load(Acquire) => Gauge::Held,
            State::Held | State::Quarantined(_) => Gauge::Quarantined,
        }
    }

    /// Where the pages are, for those who count.
    #[cfg(TDX_PAGES_KUNIT)]
    fn place(&self, booked: Option<Booked>) -> Place {
        Place::of(
            booked.map(|booked| booked.state),
            self.dropped.load(Acquire),
        )
    }

    /// Takes the memory for the last time, and says why pages would be lost.
    fn end(&self) -> (Option<Lent<Kernel>>, Option<Booked>, Why) {
        let mut cell = self.cell.lock();
        cell.closed = true;
        let booked = cell.booked;
        let dropped = self.dropped.xchg(true, Full);
        let why = match booked {
            Some(Booked {
                state: State::Quarantined(cause),
                ..
            }) => cause.why,
            _ if dropped => Why::DroppedWhileHeld,
            _ => Why::NeverReleased,
        };
        if let Some(Booked {
            state: State::Held,
            pages,
        }) = booked
        {
            if !dropped {
                self.owner.account().drop_held(pages);
                #[cfg(TDX_PAGES_KUNIT)]
                reached::transition(Place::Held, Place::Dropped);
            }
        }
        (cell.lent.take(), booked, why)
    }

    /// The last try.
    fn give_up(
        &self,
        platform: &Kernel,
        mut lent: Lent<Kernel>,
        booked: Option<Booked>,
        why: Why,
    ) -> Remains {
        let state = booked.map(|booked| booked.state);
        if state == Some(State::HeldForGood) {
            return Remains {
                held_for_good: lent.owing(),
                lost: 0,
            };
        }
        let (mut freed, mut failed) = attempt(platform, &mut lent, why);
        for _ in 0..LAST_TRIES {
            if !failed.may_pass {
                break;
            }
            fsleep(LAST_PAUSE);
            let (more, still) = attempt(platform, &mut lent, why);
            freed += more;
            failed = still;
        }
        let lost = lent.owing();
        if let Some(state) = state {
            let gauge = self.gauge(state);
            self.cell
                .lock()
                .book(self, Some(Booked { state, pages: lost }));
            self.owner.account().lose(gauge, lost);
        }
        if lost > 0 {
            #[cfg(TDX_PAGES_KUNIT)]
            reached::transition(self.place(booked), Place::Lost);
            // The end of detaching tells the sum of all.
            if may_tell() {
                pr_err!(
                    "{}: {} pages stay with the TDX Module and are lost until the next boot ({}), {} came back{}\n",
                    self.owner,
                    lost,
                    why.text(),
                    freed,
                    Proof(failed.first)
                );
            }
        } else if freed > 0 && may_tell_news() {
            pr_info!("{}: {} pages proved at the last try\n", self.owner, freed);
        }
        Remains {
            held_for_good: 0,
            lost,
        }
    }
}

/// One more try, as [`Lent::attempt`] says. A leaf that was given up is tried once.
fn attempt(platform: &Kernel, lent: &mut Lent<Kernel>, why: Why) -> (usize, Failures) {
    lent.attempt(platform, why, || platform.seam().settle(Delta::ZERO))
}

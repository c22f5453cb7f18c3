// SPDX-License-Identifier: GPL-2.0

//! The pages of one user, counted.

use core::cmp::Ordering;
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// The pages of one user.
///
/// At any time `handed over = released + held + held for good + quarantined + lost`, but for a
/// moment while one of them is counted.
#[derive(Default)]
pub(crate) struct Account {
    handed_over: Count,
    released: Count,
    held: Count,
    held_for_good: Count,
    quarantined: Count,
    lost: Count,
    quarantined_ever: Count,
    proved_later: Count,
    // The sum of what is held, held for good and quarantined, and the most that it ever was.
    on_record: Count,
    peak: Count,
}

/// Where the pages of a record are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gauge {
    /// Pages to be released.
    Held,
    /// Pages that the TDX Module has for good.
    HeldForGood,
    /// Pages that should be back and are not proved.
    Quarantined,
}

/// A number of pages.
pub(crate) struct Count(Atomic<usize>);

impl Default for Count {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

impl Count {
    fn add(&self, pages: usize) {
        self.0.add(pages, Relaxed);
    }

    fn sub(&self, pages: usize) {
        self.0.fetch_sub(pages, Relaxed);
    }

    /// Adds, and gives the sum.
    fn grow(&self, pages: usize) -> usize {
        self.0.fetch_add(pages, Relaxed).wrapping_add(pages)
    }

    /// Raises it to so many, if it is lower.
    fn raise(&self, pages: usize) {
        let mut seen = self.0.load(Relaxed);
        while seen < pages {
            match self.0.cmpxchg(seen, pages, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// The number now. One that is taken from before it is added to, by another task, reads as 0.
    pub(crate) fn get(&self) -> usize {
        match self.0.load(Relaxed) {
            pages if pages > usize::MAX / 2 => 0,
            pages => pages,
        }
    }
}

/// What an account says, at one time or another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Pages that the TDX Module ever took.
    pub(crate) handed_over: usize,
    /// Pages of these that came back.
    pub(crate) released: usize,
    /// Pages that it has now, to be released.
    pub(crate) held: usize,
    /// Pages that it has for good.
    pub(crate) held_for_good: usize,
    /// Pages that should be back and are not proved.
    pub(crate) quarantined: usize,
    /// Pages that were given up when the ledger was closed.
    pub(crate) lost: usize,
    /// Pages that were ever in quarantine. A page is counted once, however often it is tried.
    pub(crate) quarantined_ever: usize,
    /// Pages of these that were proved later.
    pub(crate) proved_later: usize,
}

impl Balance {
    /// Pages that the ledger has on record now.
    pub(crate) fn on_record(self) -> usize {
        self.held
            .saturating_add(self.held_for_good)
            .saturating_add(self.quarantined)
    }

    /// The sum of two balances.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            handed_over: self.handed_over + other.handed_over,
            released: self.released + other.released,
            held: self.held + other.held,
            held_for_good: self.held_for_good + other.held_for_good,
            quarantined: self.quarantined + other.quarantined,
            lost: self.lost + other.lost,
            quarantined_ever: self.quarantined_ever + other.quarantined_ever,
            proved_later: self.proved_later + other.proved_later,
        }
    }
}

impl Account {
    fn gauge(&self, gauge: Gauge) -> &Count {
        match gauge {
            Gauge::Held => &self.held,
            Gauge::HeldForGood => &self.held_for_good,
            Gauge::Quarantined => &self.quarantined,
        }
    }

    /// Counts that a record went from one gauge and number of pages to another. What is gone
    /// between them was released; without a former gauge the pages are handed over now.
    pub(crate) fn book(&self, before: Option<(Gauge, usize)>, now: Option<(Gauge, usize)>) {
        let (had, has) = (before.map_or(0, |b| b.1), now.map_or(0, |n| n.1));
        match has.cmp(&had) {
            Ordering::Greater => self.peak.raise(self.on_record.grow(has - had)),
            Ordering::Less => self.on_record.sub(had - has),
            Ordering::Equal => (),
        }
        if let Some((gauge, pages)) = now {
            self.gauge(gauge).add(pages);
            let new = before.is_none_or(|before| before.0 != Gauge::Quarantined);
            if gauge == Gauge::Quarantined && new {
                self.quarantined_ever.add(pages);
            }
        }
        match before {
            Some((gauge, pages)) => {
                // Added before it is taken off: nobody must see nothing on record in between.
                let back = had.saturating_sub(has);
                self.released.add(back);
                if gauge == Gauge::Quarantined {
                    self.proved_later.add(back);
                }
                self.gauge(gauge).sub(pages);
            }
            None => self.handed_over.add(has),
        }
    }

    /// Counts that the handle of pages that are held was dropped. Any context.
    pub(crate) fn drop_held(&self, pages: usize) {
        self.quarantined.add(pages);
        self.quarantined_ever.add(pages);
        self.held.sub(pages);
    }

    /// Counts that a record with so many pages was given up.
    pub(crate) fn lose(&self, gauge: Gauge, pages: usize) {
        self.lost.add(pages);
        self.on_record.sub(pages);
        self.gauge(gauge).sub(pages);
    }

    /// The most pages that were ever on record at a time.
    pub(crate) fn peak(&self) -> usize {
        self.peak.get()
    }

    /// All numbers.
    pub(crate) fn balance(&self) -> Balance {
        Balance {
            handed_over: self.handed_over.get(),
            released: self.released.get(),
            held: self.held.get(),
            held_for_good: self.held_for_good.get(),
            quarantined: self.quarantined.get(),
            lost: self.lost.get(),
            quarantined_ever: self.quarantined_ever.get(),
            proved_later: self.proved_later.get(),
        }
    }
}

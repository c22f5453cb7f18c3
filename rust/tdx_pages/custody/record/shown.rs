// SPDX-License-Identifier: GPL-2.0

//! What people may see of a record.

use super::{
    Booked,
    Cause,
    Delta,
    Gauge,
    Record,
    State, //
};
use crate::abi::Hpa;
use crate::custody::memory::Memory;

/// A record, to be shown.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    /// Where its pages are counted; [`None`] for memory that is the host's: lent for the length of a
    /// leaf now and then, or about to be handed over.
    pub(crate) gauge: Option<Gauge>,
    /// Pages of it that are not back.
    pub(crate) pages: usize,
    /// The first page; [`None`] while somebody works on it.
    pub(crate) first: Option<Hpa>,
    /// How long it has been in this state; since it was handed over, if its handle was dropped.
    pub(crate) age: Delta,
    /// How often it was tried again.
    pub(crate) tries: u32,
    /// Why it is in quarantine; [`None`] if nothing more is known than that its handle was dropped.
    pub(crate) cause: Option<Cause>,
}

impl Shown {
    /// Whether its pages should be back, and are not proved.
    pub(crate) fn is_quarantined(&self) -> bool {
        self.gauge == Some(Gauge::Quarantined)
    }
}

impl Record {
    /// What is to be shown of it. Sleeps.
    pub(crate) fn shown(&self) -> Shown {
        let cell = self.cell.lock();
        let lent = cell.lent.as_ref();
        let booked = cell.booked;
        Shown {
            gauge: booked.map(|booked| self.gauge(booked.state)),
            pages: booked.map_or(self.pages(), |booked| booked.pages),
            first: lent.and_then(|lent| lent.memory().hpas().next()),
            age: cell.since.elapsed(),
            tries: cell.tries,
            cause: match booked {
                Some(Booked {
                    state: State::Quarantined(cause),
                    ..
                }) => Some(cause),
                _ => None,
            },
        }
    }

    /// Calls `f` with the first page and the length of each run of its pages that are not back, in a
    /// lock; returns `false` if somebody works on it just now. Sleeps.
    pub(crate) fn each_missing(&self, f: impl FnMut(Hpa, usize)) -> bool {
        let cell = self.cell.lock();
        let Some(lent) = &cell.lent else {
            return false;
        };
        lent.each_missing(f);
        true
    }
}

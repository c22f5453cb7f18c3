// SPDX-License-Identifier: GPL-2.0

//! What the KUnit suites reach: transitions of records, statuses, leaves. Built for them only.
//!
//! Each is counted where all of its kind come by, and told when the kernel module goes:
//! `make check` wants every one of them, or a reason in `scripts/not-reached`. Any context.

use crate::abi::{
    Leaf,
    Status, //
};
use crate::custody::state::{
    State,
    Why, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Where the pages of a record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// With the host: before the first answer, and when all of them are back.
    Host,
    /// With the TDX Module, and somebody has the handle.
    Held,
    /// With the TDX Module, without a way back.
    HeldForGood,
    /// In quarantine, for this cause.
    Quarantined(Why),
    /// In quarantine: the handle was dropped.
    Dropped,
    /// With the TDX Module until the next boot.
    Lost,
}

impl Place {
    /// Where a record says that its pages are.
    pub(crate) fn of(state: Option<State>, dropped: bool) -> Self {
        match state {
            None => Self::Host,
            Some(State::Held) if dropped => Self::Dropped,
            Some(State::Held) => Self::Held,
            Some(State::HeldForGood) => Self::HeldForGood,
            Some(State::Quarantined(cause)) => Self::Quarantined(cause.why),
        }
    }
}

use Place::*;

/// The causes that a record can have. The others only tell of what was dropped.
const WHYS: [Why; 6] = [
    Why::HandOverFailed,
    Why::Abandoned,
    Why::ReleaseFailed,
    Why::WrongId,
    Why::NotProved,
    Why::WrongList,
];

const COMMON: [(Place, Place); 19] = [
    // Handed over in vain.
    (Host, Host),
    (Host, Held),
    (Host, HeldForGood),
    // The ledger was closed while a leaf was under way, which then took the pages.
    (Host, Dropped),
    (Host, Quarantined(Why::HandOverFailed)),
    (Host, Quarantined(Why::Abandoned)),
    (Held, Quarantined(Why::Abandoned)),
    (Held, Quarantined(Why::ReleaseFailed)),
    (Held, Quarantined(Why::WrongId)),
    (Held, Quarantined(Why::NotProved)),
    (Held, Quarantined(Why::WrongList)),
    // The release failed, and may be tried again.
    (Held, Held),
    (Held, Host),
    (Held, HeldForGood),
    (Held, Dropped),
    (HeldForGood, Host),
    // Tried again, by itself or when the ledger is closed.
    (Dropped, Dropped),
    (Dropped, Host),
    (Dropped, Lost),
];

const TRANSITIONS: usize = COMMON.len() + 3 * WHYS.len();

/// All transitions that there are; `None` behind the last.
const fn transitions() -> [Option<(Place, Place)>; TRANSITIONS] {
    let mut all = [None; TRANSITIONS];
    let mut n = 0;
    while n < COMMON.len() {
        all[n] = Some(COMMON[n]);
        n += 1;
    }
    let mut why = 0;
    while why < WHYS.len() {
        let place = Quarantined(WHYS[why]);
        let ways = [(place, place), (place, Host), (place, Lost)];
        let mut way = 0;
        while way < ways.len() {
            all[n] = Some(ways[way]);
            n += 1;
            way += 1;
        }
        why += 1;
    }
    all
}

static ALL: [Option<(Place, Place)>; TRANSITIONS] = transitions();
static MADE: [Atomic<u32>; TRANSITIONS] = [const { Atomic::new(0) }; TRANSITIONS];
static STRANGE: Atomic<u32> = Atomic::new(0);

/// What the kernel answers itself, or this kernel module instead of it.
const OWN: [Status; 4] = [
    Status::UD,
    Status::GP,
    Status::VMFAILINVALID,
    Status::HOST_DOWN,
];
static ANSWERS: [Atomic<u32>; Status::ALL.len()] = [const { Atomic::new(0) }; Status::ALL.len()];
static OWN_ANSWERS: [Atomic<u32>; OWN.len()] = [const { Atomic::new(0) }; OWN.len()];

static SUCCEEDED: [Atomic<u32>; Leaf::ALL.len()] = [const { Atomic::new(0) }; Leaf::ALL.len()];
static FAILED: [Atomic<u32>; Leaf::ALL.len()] = [const { Atomic::new(0) }; Leaf::ALL.len()];

fn count(counter: Option<&Atomic<u32>>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Relaxed);
    }
}

/// A record went from one place to another, or stayed where it is.
pub(crate) fn transition(from: Place, to: Place) {
    let at = ALL.iter().position(|known| *known == Some((from, to)));
    match at.and_then(|at| MADE.get(at)) {
        Some(counter) => count(Some(counter)),
        None => {
            // One is enough to be told, and there may be many.
            if STRANGE.fetch_add(1, Relaxed) == 0 {
                pr_err!("reached: no such transition: {:?} -> {:?}\n", from, to);
            }
        }
    }
}

/// A leaf answered.
pub(crate) fn answer(leaf: Leaf, status: Status) {
    if let Some(at) = OWN.iter().position(|own| *own == status) {
        count(OWN_ANSWERS.get(at));
    } else {
        let at = Status::ALL
            .iter()
            .position(|known| *known == status.masked());
        count(at.and_then(|at| ANSWERS.get(at)));
    }
    let leaves = if status.is_success_class() {
        &SUCCEEDED
    } else {
        &FAILED
    };
    let at = Leaf::ALL.iter().position(|known| *known == leaf);
    count(at.and_then(|at| leaves.get(at)));
}

/// Tells all counters when it is dropped.
pub(crate) struct Told;

impl Drop for Told {
    fn drop(&mut self) {
        for (known, made) in ALL.iter().zip(&MADE) {
            if let Some((from, to)) = known {
                pr_info!(
                    "reached: transition {:?} -> {:?}: {}\n",
                    from,
                    to,
                    made.load(Relaxed)
                );
            }
        }
        let known = Status::ALL.iter().zip(&ANSWERS);
        let own = OWN.iter().zip(&OWN_ANSWERS);
        for (status, answers) in Iterator::chain(known, own) {
            let name = status.name().unwrap_or("?");
            pr_info!("reached: status {}: {}\n", name, answers.load(Relaxed));
        }
        for (leaf, (succeeded, failed)) in Leaf::ALL.iter().zip(SUCCEEDED.iter().zip(&FAILED)) {
            let (succeeded, failed) = (succeeded.load(Relaxed), failed.load(Relaxed));
            pr_info!("reached: leaf {} succeeds: {}\n", leaf, succeeded);
            pr_info!("reached: leaf {} fails: {}\n", leaf, failed);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! SEAMCALLs, counted by leaf: what they answered, and how long they took.
//!
//! Counting takes no lock. A success costs one addition, into the histogram, of which the number of
//! calls is the sum; another answer is looked for in a short list besides.

use super::took::{
    bucket,
    Scale,
    BUCKETS, //
};
use crate::abi::{
    Leaf,
    Status, //
};
use crate::bindings;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Answers other than success that are told apart for each leaf.
const ANSWERS: usize = 8;

/// All leaves.
pub(crate) struct Counters {
    // By place in `Leaf::ALL`.
    leaves: KVec<Counted>,
    scale: Scale,
}

/// One leaf. Two leaves share no cache line.
#[repr(align(64))]
pub(crate) struct Counted {
    took: [Atomic<u64>; BUCKETS],
    answers: [Answered; ANSWERS],
    // Those for which there was no room in the list.
    others: Atomic<u64>,
}

struct Answered {
    // 0 while it is free: success is not listed.
    status: Atomic<u64>,
    times: Atomic<u64>,
}

/// How often a leaf was called, by what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// In all.
    pub(crate) calls: u64,
    /// It succeeded, perhaps with a note.
    pub(crate) succeeded: u64,
    /// It wants to be called again: it was busy or interrupted, or wants a message passed on.
    pub(crate) again: u64,
    /// Any other answer, and those that found no room in the list.
    pub(crate) failed: u64,
}

/// The counter that SEAMCALLs are timed with. Any context.
#[inline]
pub(super) fn ticks() -> u64 {
    // SAFETY: No preconditions.
    unsafe { bindings::tdx_pages_ticks() }
}

impl Counted {
    const fn new() -> Self {
        Self {
            took: [const { Atomic::new(0) }; BUCKETS],
            answers: [const {
                Answered {
                    status: Atomic::new(0),
                    times: Atomic::new(0),
                }
            }; ANSWERS],
            others: Atomic::new(0),
        }
    }

    #[cold]
    fn answered(&self, status: Status) {
        let raw = status.raw();
        for answer in &self.answers {
            let known = match answer.status.load(Relaxed) {
                0 => match answer.status.cmpxchg(0, raw, Relaxed) {
                    Ok(_) => raw,
                    Err(other) => other,
                },
                known => known,
            };
            if known == raw {
                answer.times.add(1, Relaxed);
                return;
            }
        }
        self.others.add(1, Relaxed);
    }

    /// How many calls there were in each bucket of [`took`](super::took).
    pub(crate) fn took(&self) -> impl Iterator<Item = u64> + '_ {
        self.took.iter().map(|count| count.load(Relaxed))
    }

    /// The answers other than plain success, and how often each came.
    pub(crate) fn answers(&self) -> impl Iterator<Item = (Status, u64)> + '_ {
        self.answers
            .iter()
            .map(|answer| (answer.status.load(Relaxed), answer.times.load(Relaxed)))
            .filter(|(status, _)| *status != 0)
            .map(|(status, times)| (Status::from_raw(status), times))
    }

    /// Answers that found no room in the list.
    pub(crate) fn others(&self) -> u64 {
        self.others.load(Relaxed)
    }

    /// The sums. What is counted meanwhile may be in some of them only.
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = Sums {
            failed: self.others(),
            ..Sums::default()
        };
        for (status, times) in self.answers() {
            if status.is_recoverable() || status == Status::SPDM_REQUEST {
                sums.again += times;
            } else if !status.is_success_class() {
                sums.failed += times;
            }
        }
        sums.calls = self.took().sum();
        sums.succeeded = sums.calls.saturating_sub(sums.again + sums.failed);
        sums
    }
}

impl Counters {
    /// All zero. `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let mut leaves = KVec::with_capacity(Leaf::ALL.len(), GFP_KERNEL)?;
        for _ in Leaf::ALL {
            leaves.push(Counted::new(), GFP_KERNEL)?;
        }
        Ok(Self {
            leaves,
            // SAFETY: No preconditions.
            scale: Scale::new(unsafe { bindings::tdx_pages_tsc_khz() }),
        })
    }

    fn leaf(&self, leaf: Leaf) -> Option<&Counted> {
        self.leaves.get(leaf.index()?)
    }

    /// Counts `calls` of a leaf in a row, of which the first began when [`ticks`] was `begin` and the
    /// last ended at `end`: each of them with their mean. Any context.
    #[inline]
    pub(super) fn took(&self, leaf: Leaf, calls: usize, begin: u64, end: u64) {
        // Two CPUs may differ by little.
        let all = end.saturating_sub(begin);
        // CAST: `usize` has 64 bits.
        let calls = calls as u64;
        let (Some(counted), Some(each)) = (self.leaf(leaf), all.checked_div(calls)) else {
            return;
        };
        if let Some(bucket) = counted.took.get(bucket(self.scale.ns(each))) {
            bucket.add(calls, Relaxed);
        }
    }

    /// Counts that a leaf answered other than by plain success. Any context.
    pub(super) fn answered(&self, leaf: Leaf, status: Status) {
        if let Some(counted) = self.leaf(leaf) {
            counted.answered(status);
        }
    }

    /// Whether the times mean something.
    pub(crate) fn is_timed(&self) -> bool {
        self.scale.is_known()
    }

    /// Each leaf that was called.
    pub(crate) fn called(&self) -> impl Iterator<Item = (Leaf, &Counted)> {
        let leaves = Leaf::ALL.iter().copied().zip(self.leaves.iter());
        leaves.filter(|(_, counted)| counted.took().any(|count| count != 0))
    }
}

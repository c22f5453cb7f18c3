// SPDX-License-Identifier: GPL-2.0

//! SEAMCALLs, to be read.

use crate::platform::Host;
use crate::seam::took;
use kernel::{
    fmt,
    seq_file::SeqFile,
    seq_print, //
};

/// Nanoseconds, a power of two, in the largest unit of which there is a whole one.
struct Time(u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ns if ns < 1_000 => write!(f, "{ns}ns"),
            ns if ns < 1_000_000 => write!(f, "{}us", ns / 1_000),
            ns if ns < 1_000_000_000 => write!(f, "{}ms", ns / 1_000_000),
            ns => write!(f, "{}s", ns / 1_000_000_000),
        }
    }
}

/// Each leaf that was called: how often, what it answered other than success, and how long it took.
pub(super) fn show(m: &SeqFile, host: &Host) {
    let counters = host.seam().counters();
    seq_print!(
        m,
        "{:<24} {:>10} {:>10} {:>10} {:>10}\n",
        "leaf",
        "calls",
        "succeeded",
        "again",
        "failed"
    );
    for (leaf, counted) in counters.called() {
        let sums = counted.sums();
        // `Display` of a leaf knows no width.
        seq_print!(
            m,
            "{:<24} {:>10} {:>10} {:>10} {:>10}\n",
            leaf.name().unwrap_or("?"),
            sums.calls,
            sums.succeeded,
            sums.again,
            sums.failed
        );
        for (status, times) in counted.answers() {
            seq_print!(m, "    {} times {}\n", times, status);
        }
        if counted.others() != 0 {
            seq_print!(m, "    {} times another status\n", counted.others());
        }
        if !counters.is_timed() {
            continue;
        }
        seq_print!(m, "    took:");
        for (bucket, times) in counted.took().enumerate() {
            match took::below(bucket) {
                _ if times == 0 => {}
                Some(ns) => seq_print!(m, " {} below {}", times, Time(ns)),
                None => seq_print!(m, " {} longer", times),
            }
        }
        seq_print!(m, "\n");
    }
}

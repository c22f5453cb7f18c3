// SPDX-License-Identifier: GPL-2.0

//! Users, objects, quarantine and features, to be read.

use crate::abi::{
    field::{
        Features0,
        Field, //
    },
    PAGE_SIZE, //
};
use crate::bindings;
use crate::capi;
use crate::custody::{
    ledger::{
        Record,
        Shown, //
    },
    transitions::Why, //
};
use crate::platform::Host;
use crate::print::Proof;
use crate::users::account::Gauge;
use kernel::{
    fmt,
    seq_file::SeqFile,
    seq_print, //
};

/// A number, or a dash.
struct Or<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.pad("-"),
        }
    }
}

/// The word for where the pages of a record are counted.
pub(super) const fn word(gauge: Option<Gauge>) -> &'static str {
    match gauge {
        Some(Gauge::Held) => "held",
        Some(Gauge::HeldForGood) => "held_for_good",
        Some(Gauge::Quarantined) => "quarantined",
        None => "shared",
    }
}

/// The NUMA node of the first page.
pub(super) fn node(shown: &Shown) -> Option<i32> {
    let first = shown.first?;
    // SAFETY: It is a page of the page allocator, on record.
    Some(unsafe { bindings::tdx_pages_nid(first.get()) })
}

/// The pages of each user, as a table.
pub(super) fn users(m: &SeqFile, host: &Host) {
    seq_print!(
        m,
        "{:<12} {:>12} {:>12} {:>12} {:>14} {:>12} {:>6} {:>12} {:>7}\n",
        "user",
        "handed_over",
        "released",
        "held",
        "held_for_good",
        "quarantined",
        "lost",
        "peak",
        "kind"
    );
    host.users().for_each(|user| {
        let balance = user.account().balance();
        seq_print!(
            m,
            "{:<12} {:>12} {:>12} {:>12} {:>14} {:>12} {:>6} {:>12} {:>7}\n",
            user.name(),
            balance.handed_over,
            balance.released,
            balance.held,
            balance.held_for_good,
            balance.quarantined,
            balance.lost,
            user.account().peak(),
            if user.is_gone() {
                "gone"
            } else {
                user.kind().text()
            }
        );
    });
}

/// Everything on record, as a table: for how long it has been in its state, and what the TDX Module
/// calls it.
pub(super) fn objects(m: &SeqFile, host: &Host) {
    seq_print!(
        m,
        "{:<8} {:>8} {:>5} {:<14} {:>9}  {}\n",
        "kind",
        "pages",
        "node",
        "state",
        "seconds",
        "object"
    );
    host.ledger().for_each(|record| {
        let shown = record.shown();
        seq_print!(
            m,
            "{:<8} {:>8} {:>5} {:<14} {:>9}  {}",
            record.owner().object().kind(),
            shown.pages,
            Or(node(&shown)),
            word(shown.gauge),
            shown.age.as_millis() / 1000,
            record.owner()
        );
        if let Some(id) = host.seam().ids().of(record.owner()) {
            seq_print!(m, ", id {:#x}", id);
        }
        seq_print!(m, "\n");
    });
}

/// What drivers have: user, object, pages, NUMA node, and what the object is with.
pub(super) fn handles(m: &SeqFile, _host: &Host) {
    capi::for_each(|shown| {
        seq_print!(
            m,
            "{} {}: {} pages on node {}: {}\n",
            shown.user,
            shown.object,
            shown.extent.pages,
            shown.extent.node.unwrap_or(-1),
            shown.with
        );
    });
}

/// Each object in quarantine: cause, status, age, tries, and where its pages are.
pub(super) fn quarantine(m: &SeqFile, host: &Host) {
    host.ledger().for_each(|record| {
        let shown = record.shown();
        if !shown.is_quarantined() {
            return;
        }
        seq_print!(
            m,
            "{}: {} pages for {} s, tried again {} times: ",
            record.owner(),
            shown.pages,
            shown.age.as_millis() / 1000,
            shown.tries
        );
        match shown.cause {
            Some(cause) => {
                seq_print!(
                    m,
                    "{}: {} answered {}{}",
                    cause.why.text(),
                    cause.leaf,
                    cause.status,
                    Proof(cause.unproved)
                );
            }
            None => seq_print!(m, "{}", Why::DroppedWhileHeld.text()),
        }
        seq_print!(m, "\n");
        ranges(m, record);
    });
}

/// Where those pages are that are not proved.
fn ranges(m: &SeqFile, record: &Record) {
    let here = record.each_missing(|first, pages| {
        // CAST: `usize` has 64 bits.
        let last = first.get() + pages as u64 * PAGE_SIZE - 1;
        seq_print!(
            m,
            "    {:#014x}-{:#014x} {} pages\n",
            first.get(),
            last,
            pages
        );
    });
    if !here {
        seq_print!(m, "    is being tried again just now\n");
    }
}

/// What was chosen at load, and what the TDX Module said when it was asked last.
pub(super) fn features(m: &SeqFile, host: &Host) {
    if let Some(setting) = host.setting() {
        seq_print!(
            m,
            "profile {}{}, global KeyID {}, extensions {}, {} IOMMUs set up at load{}\n",
            host.seam().profile().text(),
            match setting.profile {
                Some(_) => " as asked for",
                None => " by the metadata",
            },
            host.seam().keyid(),
            setting.extensions.text(),
            setting.iommus,
            if setting.flushes {
                ", CLFLUSH before hand-over"
            } else {
                ""
            }
        );
        seq_print!(m, "parameters:");
        for (name, value) in setting.parameters() {
            seq_print!(m, " {}={}", name, value);
        }
        seq_print!(m, "\n");
    }
    for (field, answer) in host.seam().fields().read() {
        match answer {
            Ok(value) if field == Field::FEATURES0 => {
                seq_print!(m, "{}: {:#018x}", field, value);
                for (bit, name) in Features0::NAMES {
                    if Features0::from_raw(value).has(*bit) {
                        seq_print!(m, " {}", name);
                    }
                }
                seq_print!(m, "\n");
            }
            Ok(value) => seq_print!(m, "{}: {}\n", field, value),
            Err(status) => seq_print!(m, "{}: {}\n", field, status),
        }
    }
}

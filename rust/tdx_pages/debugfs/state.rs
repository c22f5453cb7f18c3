// SPDX-License-Identifier: GPL-2.0

//! Everything but addresses of pages, for programs: one `key value` a line.
//!
//! The keys are an interface, which `Documentation/debugfs.rst` has: a key keeps its meaning, new ones
//! may come.

use super::people::{
    node,
    word, //
};
use crate::custody::transitions::Why;
use crate::platform::Host;
use crate::seam::took;
use crate::users::account::Balance;
use kernel::{
    fmt,
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

/// The pages of all users.
pub(super) fn balance(m: &SeqFile, host: &Host) {
    numbers(m, fmt!(""), &host.users().balance());
}

fn numbers(m: &SeqFile, of: fmt::Arguments<'_>, sum: &Balance) {
    seq_print!(m, "{}handed_over {}\n", of, sum.handed_over);
    seq_print!(m, "{}released {}\n", of, sum.released);
    seq_print!(m, "{}held {}\n", of, sum.held);
    seq_print!(m, "{}held_for_good {}\n", of, sum.held_for_good);
    seq_print!(m, "{}quarantined {}\n", of, sum.quarantined);
    seq_print!(m, "{}lost {}\n", of, sum.lost);
    seq_print!(m, "{}quarantined_ever {}\n", of, sum.quarantined_ever);
    seq_print!(m, "{}proved_later {}\n", of, sum.proved_later);
}

/// Everything.
pub(super) fn show(m: &SeqFile, host: &Host) {
    setting(m, host);
    balance(m, host);
    users(m, host);
    objects(m, host);
    seamcalls(m, host);
}

fn setting(m: &SeqFile, host: &Host) {
    seq_print!(m, "profile {}\n", host.seam().profile().text());
    seq_print!(m, "global_keyid {}\n", host.seam().keyid());
    if let Some(setting) = host.setting() {
        seq_print!(m, "extensions {}\n", setting.extensions.text());
        seq_print!(m, "iommus {}\n", setting.iommus);
        seq_print!(m, "clflush {}\n", u8::from(setting.flushes));
        let up = setting.ready.elapsed();
        seq_print!(m, "seconds {}\n", up.as_millis() / 1000);
        for (name, value) in setting.parameters() {
            seq_print!(m, "parameter.{} {}\n", name, value);
        }
    }
    for (field, answer) in host.seam().fields().read() {
        match answer {
            Ok(value) => seq_print!(m, "field.{:#018x} {:#x}", field.raw(), value),
            Err(status) => seq_print!(m, "field.{:#018x} - {:#018x}", field.raw(), status.raw()),
        }
        seq_print!(m, " {}\n", field.name().unwrap_or("?"));
    }
}

fn users(m: &SeqFile, host: &Host) {
    let mut number = 0;
    host.users().for_each(|user| {
        seq_print!(m, "user.{}.name {}\n", number, user.name());
        seq_print!(m, "user.{}.kind {}\n", number, user.kind().text());
        seq_print!(m, "user.{}.gone {}\n", number, u8::from(user.is_gone()));
        numbers(m, fmt!("user.{number}."), &user.account().balance());
        seq_print!(m, "user.{}.peak {}\n", number, user.account().peak());
        number += 1;
    });
}

fn objects(m: &SeqFile, host: &Host) {
    let mut number = 0;
    host.ledger().for_each(|record| {
        let (shown, owner) = (record.shown(), record.owner());
        seq_print!(m, "object.{}.user {}\n", number, owner.user().name());
        seq_print!(m, "object.{}.kind {}\n", number, owner.object().kind());
        seq_print!(m, "object.{}.name {}\n", number, owner.object());
        seq_print!(m, "object.{}.state {}\n", number, word(shown.gauge));
        seq_print!(m, "object.{}.pages {}\n", number, shown.pages);
        let age = shown.age.as_millis() / 1000;
        seq_print!(m, "object.{}.seconds {}\n", number, age);
        if let Some(node) = node(&shown) {
            seq_print!(m, "object.{}.node {}\n", number, node);
        }
        if let Some(id) = host.seam().ids().of(owner) {
            seq_print!(m, "object.{}.id {:#x}\n", number, id);
        }
        if shown.is_quarantined() {
            seq_print!(m, "object.{}.tries {}\n", number, shown.tries);
            let why = shown.cause.map_or(Why::DroppedWhileHeld, |cause| cause.why);
            seq_print!(m, "object.{}.why {}\n", number, why.text());
        }
        if let Some(cause) = shown.cause {
            seq_print!(m, "object.{}.leaf {}\n", number, cause.leaf);
            seq_print!(m, "object.{}.status {}\n", number, cause.status);
            if let Some(page) = cause.unproved {
                seq_print!(m, "object.{}.unproved {}\n", number, page.index);
                seq_print!(m, "object.{}.proof {}\n", number, page.status);
            }
        }
        number += 1;
    });
}

fn seamcalls(m: &SeqFile, host: &Host) {
    let counters = host.seam().counters();
    seq_print!(m, "timed {}\n", u8::from(counters.is_timed()));
    for (leaf, counted) in counters.called() {
        let sums = counted.sums();
        seq_print!(m, "leaf.{}.calls {}\n", leaf, sums.calls);
        seq_print!(m, "leaf.{}.succeeded {}\n", leaf, sums.succeeded);
        seq_print!(m, "leaf.{}.again {}\n", leaf, sums.again);
        seq_print!(m, "leaf.{}.failed {}\n", leaf, sums.failed);
        for (status, times) in counted.answers() {
            let raw = status.raw();
            seq_print!(m, "leaf.{}.answered.{:#018x} {}\n", leaf, raw, times);
        }
        for (bucket, times) in counted.took().enumerate().filter(|(_, times)| *times != 0) {
            match took::below(bucket) {
                Some(ns) => seq_print!(m, "leaf.{}.below_ns.{} {}\n", leaf, ns, times),
                None => seq_print!(m, "leaf.{}.below_ns.any {}\n", leaf, times),
            }
        }
    }
}

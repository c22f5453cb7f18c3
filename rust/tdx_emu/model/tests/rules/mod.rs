// SPDX-License-Identifier: GPL-2.0

//! Every leaf, with every check in order and every answer: the one table of them.
//!
//! The model is written by hand; the table is what it is held to. Each row brings its own test: a
//! change to a good call that makes just this check fail. `order` makes every row fail alone, and
//! together with each that comes after it. [`demand`] stands behind every call of every host test,
//! and fails for an answer that is no row. `Documentation/tdx_emu_leaves.rst` is made from the table.

mod exchanges;
mod ext;
mod ide;
mod iommu;
mod order;
mod page;
mod rst;
mod scene;
mod spdm;

use self::scene::Scene;
use crate::abi::{
    emu::Control,
    Leaf,
    Status, //
};
use std::{
    collections::HashSet,
    sync::OnceLock, //
};

/// Where a check, its place and its status are known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Two independent public sources agree.
    Confirmed,
    /// One source says so.
    Single,
    /// No source states it.
    Inferred,
}

use Source::*;

type Spoil = Box<dyn Fn(&mut Scene)>;

/// One check.
pub(super) struct Row {
    /// What must hold. For the last row: what is done then.
    check: String,
    /// The answer where it does not.
    status: Status,
    source: Source,
    /// Whether it is of the late profile only, or of v2 only; of both without.
    only: Option<bool>,
    /// Whether the change has to be made behind all others.
    last: bool,
    /// Makes it fail.
    spoil: Spoil,
}

impl Row {
    /// Of the v2 profile only.
    fn v2(&mut self) -> &mut Self {
        self.only = Some(false);
        self
    }

    /// Of the late profile only.
    fn late(&mut self) -> &mut Self {
        self.only = Some(true);
        self
    }

    /// To be made to fail behind all others.
    fn last(&mut self) -> &mut Self {
        self.last = true;
        self
    }

    fn is_in(&self, late: bool) -> bool {
        self.only.is_none_or(|only| only == late)
    }
}

/// A leaf.
pub(super) struct Table {
    /// [`None`] for what holds for all.
    leaf: Option<Leaf>,
    /// Operands, and outputs.
    takes: &'static str,
    gives: &'static str,
    /// A call that succeeds, in either profile.
    good: fn(bool) -> Scene,
    rows: Vec<Row>,
}

impl Table {
    fn new(leaf: Leaf, takes: &'static str, gives: &'static str, good: fn(bool) -> Scene) -> Self {
        Self {
            leaf: Some(leaf),
            takes,
            gives,
            good,
            rows: Vec::new(),
        }
    }

    fn row(
        &mut self,
        check: impl Into<String>,
        status: Status,
        source: Source,
        spoil: impl Fn(&mut Scene) + 'static,
    ) -> &mut Row {
        let row = Row {
            check: check.into(),
            status,
            source,
            only: None,
            last: false,
            spoil: Box::new(spoil),
        };
        self.rows.push(row);
        self.rows.last_mut().unwrap()
    }

    /// The last row.
    fn done(mut self, what: &str, source: Source) -> Self {
        self.row(what, Status::SUCCESS, source, |_| {});
        self
    }
}

/// What is checked before the leaf is looked at.
fn all_leaves() -> Table {
    let mut t = Table::new(Leaf::SYS_RD, "", "", ext::readable);
    t.leaf = None;
    t.row(
        "bits 31:24 and 63:32 of RAX are 0",
        Status::OPERAND_INVALID,
        Single,
        |s| s.rax |= 1 << 24,
    );
    t.row(
        "the version in bits 23:16 of RAX is 0",
        Status::OPERAND_INVALID,
        Single,
        |s| s.rax |= 1 << 16,
    );
    t.row(
        "it is ready, and not being updated; TDH.SYS.RD is answered all the same",
        Status::SYS_NOT_READY,
        Single,
        |s| s.ask(Control::Update, [1, 0, 0]),
    );
    t.row(
        "there is a leaf of this number",
        Status::OPERAND_INVALID,
        Single,
        |s| s.rax = s.rax & !0xffff | 0x55,
    );
    t
}

/// All leaves, by number.
fn leaves() -> Vec<Table> {
    let mut leaves = [
        page::tables(),
        ext::tables(),
        iommu::tables(),
        spdm::tables(),
        ide::tables(),
        exchanges::tables(),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    leaves.sort_by_key(|table| table.leaf.map(Leaf::number));
    leaves
}

/// Leaf number, profile, status.
type Answer = (u64, bool, u64);

fn answers() -> &'static HashSet<Answer> {
    static ANSWERS: OnceLock<HashSet<Answer>> = OnceLock::new();
    ANSWERS.get_or_init(|| {
        let mut answers = HashSet::new();
        let all = all_leaves();
        for table in leaves() {
            let number = table.leaf.unwrap().number();
            for late in [false, true] {
                let rows = all.rows.iter().chain(&table.rows);
                for row in rows.filter(|row| row.is_in(late)) {
                    answers.insert((number, late, row.status.raw()));
                }
            }
        }
        answers
    })
}

/// Fails if the model may not give this answer, by itself and without a fault.
pub(in super::super) fn demand(leaf: Leaf, late: bool, status: Status) {
    let known = Leaf::ALL
        .iter()
        .any(|known| known.number() == leaf.number());
    if !known {
        assert_ne!(status, Status::SUCCESS, "{leaf}");
        return;
    }
    assert!(
        answers().contains(&(leaf.number(), late, status.raw())),
        "{leaf} answered {status}, which no row of its table has"
    );
}

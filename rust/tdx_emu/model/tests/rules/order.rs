// SPDX-License-Identifier: GPL-2.0

//! Every row is provoked: alone, with each that comes after it, and with all that come after it.

use super::{
    all_leaves,
    leaves,
    scene::Scene,
    Row,
    Table, //
};
use crate::abi::{
    Leaf,
    Status, //
};

/// The rows that hold for a leaf, those for all leaves first.
fn rows<'a>(all: &'a Table, table: &'a Table, late: bool) -> Vec<&'a Row> {
    // The one leaf that is answered all the same while there is an update; another number is none.
    let count = if table.leaf == Some(Leaf::SYS_RD) {
        2
    } else {
        4
    };
    all.rows
        .iter()
        .take(count)
        .chain(&table.rows)
        .filter(|row| row.is_in(late))
        .collect()
}

/// Makes rows fail, the first of them last, and calls.
fn answer(table: &Table, late: bool, rows: &[&Row]) -> Status {
    let mut scene: Scene = (table.good)(late);
    for last in [false, true] {
        for row in rows.iter().rev().filter(|row| row.last == last) {
            (row.spoil)(&mut scene);
        }
    }
    scene.call()
}

fn for_each(mut act: impl FnMut(&Table, bool, &[&Row])) {
    let all = all_leaves();
    for table in leaves() {
        for late in [false, true] {
            act(&table, late, &rows(&all, &table, late));
        }
    }
}

#[test]
fn each_check_fails_alone() {
    for_each(|table, late, rows| {
        assert_eq!(
            answer(table, late, &[]),
            Status::SUCCESS,
            "{:?}",
            table.leaf
        );
        for row in rows {
            let got = answer(table, late, &[row]);
            let leaf = table.leaf.unwrap();
            assert_eq!(got, row.status, "{leaf}, late {late}: {}", row.check);
        }
    });
}

#[test]
fn each_check_comes_before_each_that_follows() {
    for_each(|table, late, rows| {
        for (n, first) in rows.iter().enumerate() {
            for second in &rows[n + 1..] {
                let got = answer(table, late, &[first, second]);
                let leaf = table.leaf.unwrap();
                let both = (&first.check, &second.check);
                assert_eq!(got, first.status, "{leaf}, late {late}: {both:?}");
            }
        }
    });
}

#[test]
fn each_check_comes_before_all_that_follow() {
    for_each(|table, late, rows| {
        for n in 0..rows.len() {
            let got = answer(table, late, &rows[n..]);
            let leaf = table.leaf.unwrap();
            let check = &rows[n].check;
            assert_eq!(got, rows[n].status, "{leaf}, late {late}: {check}");
        }
    });
}

/// There is a table of each leaf, and it is whole.
#[test]
fn every_leaf_has_a_table() {
    let mut numbers: Vec<u64> = Leaf::ALL.iter().map(|leaf| leaf.number()).collect();
    numbers.sort_unstable();
    let leaves = leaves();
    let tables: Vec<u64> = leaves.iter().map(|t| t.leaf.unwrap().number()).collect();
    assert_eq!(tables, numbers);
    for table in &leaves {
        let (last, checks) = table.rows.split_last().unwrap();
        assert_eq!(last.status, Status::SUCCESS);
        assert!(checks.iter().all(|row| !row.status.is_success()));
        for (n, row) in table.rows.iter().enumerate() {
            let same = |other: &&Row| other.check == row.check && other.only == row.only;
            assert!(table.rows[..n].iter().find(same).is_none(), "{}", row.check);
        }
    }
}

#[test]
#[should_panic(expected = "which no row of its table has")]
fn an_answer_without_a_row_is_no_answer() {
    super::demand(Leaf::EXT_INIT, false, Status::OPERAND_BUSY);
}

/// Whatever is wrong, in whatever order and however twisted: [`super::demand`] knows the answer.
#[test]
fn no_answer_is_without_a_row() {
    let mut state = 0x1357_9bdf_0246_8aceu64;
    let mut random = |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % n
    };
    for_each(|table, late, rows| {
        for _ in 0..40 {
            let mut scene = (table.good)(late);
            for _ in 0..20 {
                if random(3) == 0 {
                    let row = &rows[random(rows.len() as u64) as usize];
                    // What changes RAX would hide all that follows.
                    let (rax, before) = (scene.rax, scene.operands);
                    (row.spoil)(&mut scene);
                    if random(2) == 0 {
                        scene.rax = rax;
                        scene.operands = before;
                    }
                }
                let before = scene.operands;
                if random(2) == 0 {
                    let at = random(9) as usize;
                    scene.operands[at] ^= 1 << random(64);
                }
                let _ = scene.call();
                if random(4) != 0 {
                    scene.operands = before;
                }
            }
        }
    });
}

// SPDX-License-Identifier: GPL-2.0

//! `Documentation/tdx_emu_leaves.rst`, made from the table.

use super::{
    all_leaves,
    leaves,
    Row,
    Source,
    Table, //
};
use crate::abi::{
    status::Operand,
    Status, //
};
use std::{
    fmt::Write,
    fs, //
};

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../Documentation/tdx_emu_leaves.rst"
);

/// Set to anything, the page is written instead of compared.
const WRITE: &str = "TDX_EMU_LEAVES_WRITE";

const HEAD: &str = "\
.. SPDX-License-Identifier: GPL-2.0

==========================================
The checks of the software TDX Module
==========================================

.. Made from the table in rust/tdx_emu/model/tests/rules/ by its test; do not edit.

What each leaf checks, in order, and what it answers to the first check that fails. Nothing changes
then, unless the table says so. The last row of a leaf is what it does when all checks pass.

Each row is a test: a good call is spoilt so that this check fails, alone, together with each that
comes after it, and with all of them; the answer is that of the row each time. An answer that is in
no row fails whatever host test it is given in, the random ones too.

*source* tells where the check, its place and its status are known from: *confirmed* by two
independent public sources, a *single* one, or *inferred*: no source states it.
``Documentation/abi.rst`` has the documents.

TDX_SYS_SHUTDOWN, TDX_OPERAND_BUSY for a page that another CPU works on, TDX_RND_NO_ENTROPY and
whatever else a TDX Module may answer are given where a test asks for them, see ``fail`` in
``Documentation/tdx_emu.rst``.
";

fn status(row: &Row) -> String {
    let name = match row.status.name() {
        Some(name) => name,
        None => "TDX_EXT_MEMORY_POOL_FULL",
    };
    let operand = match row.status.detail() {
        0 if row.status == Status::OPERAND_INVALID => " on RAX".into(),
        0 => String::new(),
        detail => format!(" on {}", Operand::name(detail).unwrap()),
    };
    format!("{name}{operand}")
}

fn source(row: &Row) -> &'static str {
    match row.source {
        Source::Confirmed => "confirmed",
        Source::Single => "single",
        Source::Inferred => "inferred",
    }
}

/// The most characters of a check in one line.
const WIDTH: usize = 64;

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            *line = word.into();
        } else if line.len() + 1 + word.len() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.into());
        }
    }
    lines
}

/// A simple table; a line without a number goes on with the row above.
fn table(page: &mut String, rows: &[Row]) {
    let answers: Vec<String> = rows.iter().map(status).collect();
    let wide = answers.iter().map(String::len).max().unwrap_or(0);
    let mut line = |number: &str, check: &str, answer: &str, source: &str| {
        let text = format!("{number:<2}  {check:<WIDTH$}  {answer:<wide$}  {source}");
        writeln!(page, "{}", text.trim_end()).unwrap();
    };
    let rule = ["==", &"=".repeat(WIDTH), &"=".repeat(wide), "========="];
    let [number, check, answer, source_of] = rule;
    line("", "", "", "");
    line(number, check, answer, source_of);
    line("#", "check", "answer", "source");
    line(number, check, answer, source_of);
    for (n, (row, status)) in (1..).zip(rows.iter().zip(&answers)) {
        let text = match row.only {
            Some(true) => format!("late profile: {}", row.check),
            Some(false) => format!("v2 profile: {}", row.check),
            None if row.status.is_success() => format!("then: {}", row.check),
            None => row.check.clone(),
        };
        let mut lines = wrapped(&text).into_iter();
        let first = lines.next().unwrap_or_default();
        line(&n.to_string(), &first, status, source(row));
        for more in lines {
            line("", &more, "", "");
        }
    }
    line(number, check, answer, source_of);
}

fn heading(page: &mut String, text: &str) {
    write!(page, "\n{text}\n{}\n", "=".repeat(text.len())).unwrap();
}

fn page() -> String {
    let mut page = String::from(HEAD);
    heading(&mut page, "All leaves");
    table(&mut page, &all_leaves().rows);
    for leaf in leaves() {
        let Table { takes, gives, .. } = leaf;
        let number = leaf.leaf.unwrap();
        heading(&mut page, &format!("{number} ({})", number.number()));
        write!(page, "\n| In: {takes}.\n| Out: {gives}.\n").unwrap();
        table(&mut page, &leaf.rows);
    }
    page
}

#[test]
fn the_page_is_what_the_table_gives() {
    let page = page();
    if std::env::var_os(WRITE).is_some() {
        fs::write(PATH, &page).unwrap();
    }
    let there = fs::read_to_string(PATH).unwrap_or_default();
    let same = there == page;
    assert!(
        same,
        "Documentation/tdx_emu_leaves.rst is not what the table gives: run this test with {WRITE}=1"
    );
}

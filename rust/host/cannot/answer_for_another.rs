// SPDX-License-Identifier: GPL-2.0

//! An answer is for the record whose pages were named, and shared pages are told to no leaf that
//! takes them.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use abi::{
    list::HpaListInfo,
    Leaf,
    Status, //
};
use custody::{
    feed::{
        hand_over_for_good,
        Added,
        Window, //
    },
    lending::Shared,
    listed::Recorded,
    memory::{
        Lend,
        Memory,
        Platform,
        RootPage, //
    },
    transitions::{
        hand_over,
        Answer,
        Held, //
    }, //
};

fn made_up(back: HpaListInfo) {
    #[cfg(wrong)]
    let added: Added<'_> = Added::new(Status::UD, back); //~ E0133
}

fn for_a_list_of_control_pages<M: Memory, R: RootPage>(shared: Shared<'_, M>, root: R) {
    #[cfg(wrong)]
    shared.list(root); //~ E0599
}

fn for_tables<M: Memory, R: RootPage>(shared: Shared<'_, M>, root: R) {
    #[cfg(wrong)]
    shared.list_tables(root); //~ E0599
}

fn lent_as_if_to_be_kept<M: Memory>(shared: Shared<'_, M>) {
    #[cfg(wrong)]
    let recorded: Recorded<'_, M> = shared; //~ E0308
}

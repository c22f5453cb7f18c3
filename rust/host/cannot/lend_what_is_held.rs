// SPDX-License-Identifier: GPL-2.0

//! What is held is neither a root page nor an operand.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use abi::{
    list::{
        Entries,
        HpaListInfo, //
    },
    Hpa,
    Leaf, //
};
use custody::{
    feed::hand_over_for_good,
    memory::{
        Lend,
        Memory,
        Platform,
        PublishedRoot,
        RootPage, //
    },
    transitions::{
        hand_over,
        Answer,
        Held, //
    }, //
};

fn as_root<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    held.publish(); //~ E0599
}

fn as_published<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    held.hpa(); //~ E0599
}

fn as_operand<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>, entries: Entries) {
    #[cfg(wrong)]
    HpaListInfo::new(entries, held); //~ E0308
}

fn as_list<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>, mut root: P::Root<'_>) {
    #[cfg(wrong)]
    root.fill(held); //~ E0277
}

fn as_page_to_prove<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>, platform: &P) {
    #[cfg(wrong)]
    platform.prove(held); //~ E0308
}

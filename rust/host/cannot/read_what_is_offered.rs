// SPDX-License-Identifier: GPL-2.0

//! What a leaf is being called with is neither read, mapped nor freed, and is listed once.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use core::ops::Deref;
use custody::{
    listed::Recorded,
    memory::{
        Memory,
        RootPage, //
    }, //
};

fn its_memory<M: Memory>(recorded: Recorded<'_, M>) {
    #[cfg(wrong)]
    let memory: &M = recorded.0; //~ E0616
}

fn through_it<M: Memory>(recorded: Recorded<'_, M>) {
    #[cfg(wrong)]
    let memory: &M = &*recorded; //~ E0614
}

fn its_blocks<M: Memory>(recorded: Recorded<'_, M>) {
    #[cfg(wrong)]
    recorded.blocks(); //~ E0599
}

fn twice<M: Memory, R: RootPage>(recorded: Recorded<'_, M>, one: R, two: R) {
    let first = recorded.list(one);
    #[cfg(wrong)]
    let second = recorded.list(two); //~ E0382
}

fn copied<M: Memory + Clone>(recorded: Recorded<'_, M>) {
    #[cfg(wrong)]
    let twice = recorded.clone(); //~ E0599
}

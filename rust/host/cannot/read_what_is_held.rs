// SPDX-License-Identifier: GPL-2.0

//! What is held has no pages to be named, read or mapped.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use custody::{
    memory::{
        Lend,
        Memory,
        Platform, //
    },
    transitions::Held, //
};

fn its_memory<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    held.memory(); //~ E0599
}

fn its_blocks<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    held.blocks(); //~ E0599
}

fn its_pages<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    held.hpas(); //~ E0599
}

fn their_number<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    held.pages(); //~ E0599
}

fn its_record<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    held.entry.as_ref(); //~ E0616
}

fn through_it<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    let memory = &*held; //~ E0614
}

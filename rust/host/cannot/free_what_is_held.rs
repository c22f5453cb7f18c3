// SPDX-License-Identifier: GPL-2.0

//! What is held is not memory, and cannot be made to be.

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

fn as_memory<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    let memory: T = held; //~ E0308
}

fn as_form<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    T::from_memory(held); //~ E0308
}

fn taken_out<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    held.into_memory(); //~ E0599
}

fn by_block<T: Lend<Memory = P::Memory>, P: Platform>(mut held: Held<T, P>) {
    // SAFETY: Nothing of this runs: it does not compile.
    #[cfg(wrong)]
    unsafe {
        held.free_block(0) //~ E0599
    };
}

fn by_page<T: Lend<Memory = P::Memory>, P: Platform>(mut held: Held<T, P>, page: abi::Hpa) {
    // SAFETY: Nothing of this runs: it does not compile.
    #[cfg(wrong)]
    unsafe {
        held.free_page(page) //~ E0599
    };
}

fn forgotten<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    held.forget_pages(); //~ E0599
}

fn without_unsafe<M: Memory>(mut memory: M) {
    #[cfg(wrong)]
    memory.free_block(0); //~ E0133
}

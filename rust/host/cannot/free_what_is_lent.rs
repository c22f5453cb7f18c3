// SPDX-License-Identifier: GPL-2.0

//! Pages that are lent can be named, and no more than that.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use custody::{
    lent::Lent,
    memory::{
        Memory,
        Platform, //
    }, //
};

fn by_block<P: Platform>(lent: Lent<P>) {
    // SAFETY: Nothing of this runs: it does not compile.
    #[cfg(wrong)]
    unsafe {
        lent.memory().free_block(0) //~ E0624
    };
}

fn split<P: Platform>(lent: Lent<P>) {
    // SAFETY: Nothing of this runs: it does not compile.
    #[cfg(wrong)]
    unsafe {
        lent.memory().split_block(0) //~ E0624
    };
}

fn moved_out<P: Platform>(lent: Lent<P>) {
    #[cfg(wrong)]
    let memory = *lent.memory(); //~ E0624
}

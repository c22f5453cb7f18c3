// SPDX-License-Identifier: GPL-2.0

//! Only what is on record is told to the TDX Module.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use custody::{
    listed::{
        Listed,
        Pages,
        Recorded, //
    },
    memory::{
        Memory,
        Platform,
        PublishedRoot, //
    }, //
};

fn of_the_host<M: Memory>(memory: &M) {
    #[cfg(wrong)]
    let recorded = Recorded::new(memory); //~ E0624
}

fn made_up<M: Memory>(memory: &M) {
    #[cfg(wrong)]
    let recorded = Recorded(memory); //~ E0423
}

fn listed<M: Memory, P: Platform<Memory = M>>(memory: &M, platform: &P) {
    #[cfg(wrong)]
    let listed = Listed::<_, _, Pages>::new(memory, platform.root()); //~ E0624
}

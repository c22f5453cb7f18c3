// SPDX-License-Identifier: GPL-2.0

//! Only custody makes the window of a list, and only a door the slot.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;
#[path = "../../tdx_pages/seam/slot.rs"]
mod slot;

use abi::list::HpaListInfo;
use core::marker::PhantomData;
use custody::feed::Window;
use slot::{
    Door,
    Gate,
    Slot, //
};

fn a_window(word: HpaListInfo) {
    #[cfg(wrong)]
    let window = Window {
        word, //~ E0451
        _brand: PhantomData,
    };
}

fn a_slot<'a, G: Gate>(guard: G::Guard<'a>) {
    #[cfg(wrong)]
    let slot: Slot<'a, G> = Slot {
        _guard: guard, //~ E0451
        _door: PhantomData,
    };
}

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
    // In one line: of several fields some compilers tell each, and some only the first.
    #[cfg(wrong)]
    #[rustfmt::skip]
    let window = Window { word, _brand: PhantomData }; //~ E0451
}

fn a_slot<'a, G: Gate>(guard: G::Guard<'a>) {
    #[cfg(wrong)]
    #[rustfmt::skip]
    let slot: Slot<'a, G> = Slot { _guard: guard, _door: PhantomData }; //~ E0451
}

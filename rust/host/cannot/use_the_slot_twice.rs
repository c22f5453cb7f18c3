// SPDX-License-Identifier: GPL-2.0

//! Who has the slot for extension SEAMCALLs cannot take it again, and cannot share it.

#![allow(dead_code, unused)]

#[path = "../../tdx_pages/seam/slot.rs"]
mod slot;

use slot::{
    Door,
    Gate,
    Slot, //
};

fn call<G: Gate>(slot: &mut Slot<'_, G>) {}

fn taken_again<G: Gate>(door: &mut Door<G>) {
    let mut slot = door.enter();
    #[cfg(wrong)]
    let again = door.enter(); //~ E0499
    call(&mut slot);
}

fn by_two_calls<G: Gate>(door: &mut Door<G>) {
    let mut slot = door.enter();
    let one = &mut slot;
    #[cfg(wrong)]
    let two = &mut slot; //~ E0499
    call(one);
}

fn after_it_was_left<G: Gate>(door: &mut Door<G>) {
    let mut slot = door.enter();
    drop(slot);
    #[cfg(wrong)]
    call(&mut slot); //~ E0382
}

fn shared<G: Gate>(door: &mut Door<G>) {
    let slot = door.enter();
    #[cfg(wrong)]
    let copy = slot.clone(); //~ E0599
}

fn another_door<G: Gate + Clone>(door: &Door<G>) {
    #[cfg(wrong)]
    let copy: Door<G> = door.clone(); //~ E0308
}

fn only_looked_at<G: Gate>(slot: &Slot<'_, G>) {
    #[cfg(wrong)]
    call(slot); //~ E0308
}

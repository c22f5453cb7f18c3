// SPDX-License-Identifier: GPL-2.0

//! Only custody changes what is lent.

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

fn never_offered<P: Platform>(mut lent: Lent<P>) {
    #[cfg(wrong)]
    lent.never_offered(0..1); //~ E0624
}

fn proved<P: Platform>(mut lent: Lent<P>, platform: &P) {
    #[cfg(wrong)]
    lent.prove(platform, 0..1); //~ E0624
}

fn settled<P: Platform>(mut lent: Lent<P>) {
    #[cfg(wrong)]
    lent.settle(); //~ E0624
}

fn tried_again<P: Platform>(mut lent: Lent<P>, platform: &P) {
    #[cfg(wrong)]
    lent.retry(platform); //~ E0624
}

fn reclaimed<P: Platform>(lent: Lent<P>, platform: &P) {
    #[cfg(wrong)]
    lent.reclaim(platform); //~ E0624
}

fn taken_out<P: Platform>(lent: Lent<P>) {
    #[cfg(wrong)]
    let memory = lent.into_memory(); //~ E0624
}

fn its_bits<P: Platform>(mut lent: Lent<P>) {
    #[cfg(wrong)]
    lent.bits.as_mut().fill(u64::MAX); //~ E0616
}

fn its_account<P: Platform>(mut lent: Lent<P>) {
    #[cfg(wrong)]
    let owing = core::mem::take(&mut lent.owing); //~ E0616
}

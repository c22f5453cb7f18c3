// SPDX-License-Identifier: GPL-2.0

//! Neither what is held nor an answer can be made up, or made twice.

#![allow(dead_code, unused)]

#[path = "../../abi/mod.rs"]
mod abi;
#[path = "../custody.rs"]
mod custody;

use abi::Status;
use custody::{
    lent::Lent,
    memory::{
        Lend,
        Platform, //
    },
    transitions::{
        Answer,
        Held, //
    }, //
};

fn held_again<T: Lend<Memory = P::Memory>, P: Platform>(held: Held<T, P>) {
    #[cfg(wrong)]
    let twice = held.clone(); //~ E0599
}

fn lent_again<P: Platform>(lent: Lent<P>) {
    #[cfg(wrong)]
    let twice = lent.clone(); //~ E0599
}

fn held<T: Lend<Memory = P::Memory>, P: Platform>(platform: &P, entry: P::Entry) {
    #[cfg(wrong)]
    let held: Held<T, P> = Held::new(platform, entry); //~ E0624
}

fn an_answer_that_was_given<P: Platform>(status: Status) {
    #[cfg(wrong)]
    let answer = Answer::ended(status); //~ E0133
}

fn an_answer_that_was_not<P: Platform>(status: Status) {
    #[cfg(wrong)]
    let answer = Answer::not_called(status); //~ E0133
}

fn another_answer<P: Platform>(mut answer: Answer, status: Status) {
    #[cfg(wrong)]
    let status = core::mem::replace(&mut answer.status, status); //~ E0616
}

fn one_answer_twice<P: Platform>(answer: Answer) {
    let one = answer;
    #[cfg(wrong)]
    let two = answer; //~ E0382
}

// SPDX-License-Identifier: GPL-2.0

//! What a TDX Module may answer to a leaf that takes or releases an object.

use crate::abi::{
    status::Operand,
    Status, //
};

/// Success with a note beside it.
const NOTE: Status = Status::PAGE_ALREADY_FREE;

/// What the TDX Module writes into the list that it gives back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum List {
    AsItIs,
    /// These bits of a word are turned over.
    Other(usize, u64),
    /// A word is that of the entry before.
    Doubled(usize),
}

impl List {
    /// Whatever may be wrong with a list of so many words.
    pub(crate) fn all(words: usize) -> Vec<Self> {
        let mut lists = Vec::new();
        for word in 0..words {
            lists.push(Self::Other(word, 1 << 12));
            lists.push(Self::Other(word, 1));
            if word > 0 {
                lists.push(Self::Doubled(word));
            }
        }
        lists
    }
}

/// An answer to a leaf. A set is one bit for each page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    /// Success, and all is well.
    Plain,
    NotExecuted(Status),
    /// A failure, though the leaf has had its effect on a set of pages.
    Failed(Status, u32),
    /// Busy, as before, and then not executed.
    BusyAndThen(Status, u32),
    /// Success, though the leaf has had its effect on this set only.
    Success(Status, u32, List),
    /// Interrupted, and called again.
    Interrupted,
    /// Interrupted, and called no more.
    GivenUp,
}

/// All answers at a point, plain success first.
pub(crate) struct Answers(pub(crate) Vec<Said>);

impl Answers {
    /// After an interruption nothing but the leaf's own words ends it.
    pub(crate) fn new(pages: usize, lists: &[List], interrupted: bool) -> Self {
        let all = (1u32 << pages) - 1;
        let mut answers = vec![Said::Plain];
        if !interrupted {
            answers.push(Said::NotExecuted(Status::UD));
            answers.push(Said::NotExecuted(Status::OPERAND_INVALID));
        }
        for set in 0..=all {
            if !interrupted {
                answers.push(Said::Failed(Status::OPERAND_BUSY, set));
                // What it did before makes no difference, so not all of it is tried.
                if set == 0 || set == all {
                    answers.push(Said::BusyAndThen(Status::UD, set));
                }
            }
            let status = Status::OPERAND_INVALID.on(Operand::Rdx);
            answers.push(Said::Failed(status, set));
            if set != all {
                answers.push(Said::Success(Status::SUCCESS, set, List::AsItIs));
            }
            // Any wrong list with all pages let go; the first of them with any set.
            for list in if set == all {
                lists
            } else {
                &lists[..lists.len().min(1)]
            } {
                answers.push(Said::Success(Status::SUCCESS, set, *list));
            }
        }
        answers.push(Said::Success(NOTE, all, List::AsItIs));
        answers.push(Said::Interrupted);
        answers.push(Said::GivenUp);
        Self(answers)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Calling a leaf until it comes to an end. Pure: compiled on the host too.

use crate::abi::Status;
use crate::custody::transitions::Answer;

/// Calls of one leaf with the same operands, and how long they are worth it.
///
/// # Safety
///
/// [`Attempts::call`] makes the SEAMCALL and tells its status, or tells [`Status::HOST_DOWN`] and
/// makes none.
pub(crate) unsafe trait Attempts {
    /// What a success says beside its status.
    type Output;

    /// Makes the call once.
    fn call(&mut self) -> (Status, Self::Output);

    /// Waits a moment, for a TDX Module or a CPU that cannot go on right now.
    fn pause(&mut self);

    /// Whether it has been called for too long: by a TDX Module that is busy, or, with `interrupted`,
    /// by one that promises progress.
    fn is_out_of_patience(&self, interrupted: bool) -> bool;
}

/// Calls a leaf until it comes to an end, or the patience does.
///
/// It is called again, with the same operands, while it is interrupted or busy. Once it has been
/// interrupted, only success or an error of its own ends it: that this CPU, or the TDX Module,
/// did not execute the resume leaves it interrupted. `interrupted` says that it is already. The
/// output means something after success only.
///
/// # Safety
///
/// The answer is for the record whose pages the calls name, and for no other.
pub(crate) unsafe fn until_end<'id, A: Attempts>(
    attempts: &mut A,
    interrupted: bool,
) -> (Answer<'id>, A::Output) {
    let mut interrupted = interrupted;
    // Whether any call went further than the dispatcher: what "busy" has done is not known.
    let mut entered = interrupted;
    let unfinished = |status, interrupted, entered| match (interrupted, entered) {
        (true, _) => Answer::given_up(status),
        (false, true) => Answer::failed(status),
        // SAFETY: No call with these operands was executed.
        (false, false) => unsafe { Answer::not_called(status) },
    };
    loop {
        let (status, output) = attempts.call();
        interrupted |= status.masked() == Status::INTERRUPTED_RESUMABLE;
        if status == Status::HOST_DOWN || status.is_not_executed() && !interrupted {
            return (unfinished(status, interrupted, entered), output);
        }
        entered |= !status.is_not_executed();
        let again = status.is_recoverable()
            || interrupted && (status.is_not_executed() || status == Status::INVALID_RESUMPTION);
        if !again {
            // SAFETY: It was called and executed, and this is its end.
            return (unsafe { Answer::ended(status) }, output);
        }
        let goes_on = status.masked() == Status::INTERRUPTED_RESUMABLE;
        if attempts.is_out_of_patience(goes_on) {
            return (unfinished(status, interrupted, entered), output);
        }
        if !goes_on {
            attempts.pause();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::status::Operand;

    /// Answers as listed, then with the last one for ever.
    struct Script<'a> {
        answers: &'a [Status],
        calls: usize,
        pauses: usize,
        patience: usize,
    }

    // SAFETY: There is no memory here for an answer to be wrong about.
    unsafe impl Attempts for Script<'_> {
        type Output = usize;

        fn call(&mut self) -> (Status, usize) {
            let status = self.answers[self.calls.min(self.answers.len() - 1)];
            self.calls += 1;
            (status, self.calls)
        }

        fn pause(&mut self) {
            self.pauses += 1;
        }

        fn is_out_of_patience(&self, _interrupted: bool) -> bool {
            self.calls >= self.patience
        }
    }

    const ANSWERS: [Status; 12] = [
        Status::SUCCESS,
        Status::PAGE_ALREADY_FREE,
        Status::INTERRUPTED_RESUMABLE,
        Status::OPERAND_BUSY.on(Operand::Rcx),
        Status::SYS_BUSY,
        Status::UD,
        Status::SYS_NOT_READY,
        Status::OPERAND_INVALID.on(Operand::Rax),
        Status::HOST_DOWN,
        Status::INVALID_RESUMPTION,
        Status::OPERAND_INVALID.on(Operand::Rcx),
        Status::CONNECT_INVALID_STATE,
    ];

    /// What must come of a script, told anew from the states of design.
    fn check(answers: &[Status], patience: usize, interrupted: bool) {
        let mut script = Script {
            answers,
            calls: 0,
            pauses: 0,
            patience,
        };
        // SAFETY: There are no pages.
        let (answer, output) = unsafe { until_end(&mut script, interrupted) };
        let what =
            format!("{answers:?}, patience {patience}, interrupted {interrupted}: {answer:?}");
        assert_eq!(output, script.calls, "{what}");
        assert!((1..=patience.max(1)).contains(&script.calls), "{what}");
        let said: Vec<Status> = (0..script.calls)
            .map(|call| answers[call.min(answers.len() - 1)])
            .collect();
        let last = *said.last().unwrap();
        assert_eq!(answer.status(), last, "{what}");
        let hung = interrupted || said.contains(&Status::INTERRUPTED_RESUMABLE);
        let executed = |status: &&Status| !status.is_not_executed();
        let untouched = !hung && said.iter().filter(executed).count() == 0;
        let own_end = last.is_success_class()
            || !last.is_recoverable()
                && !last.is_not_executed()
                && !(hung && last == Status::INVALID_RESUMPTION);
        assert_eq!(answer.is_untouched(), untouched, "untouched: {what}");
        assert_eq!(answer.is_given_up(), hung && !own_end, "given up: {what}");
        assert_eq!(answer.is_success(), last.is_success_class(), "{what}");
        // It is left before its end only when the patience is, or when no other call can be made.
        let stuck = last == Status::HOST_DOWN || last.is_not_executed() && !hung;
        let patient = script.calls < patience.max(1);
        assert!(own_end || stuck || !patient, "left too early: {what}");
        // Nothing is called after an end.
        for earlier in &said[..said.len() - 1] {
            assert!(!earlier.is_success_class(), "{what}");
            assert_ne!(*earlier, Status::HOST_DOWN, "{what}");
        }
        let waits = said[..said.len() - 1].iter();
        let waits = waits.filter(|status| **status != Status::INTERRUPTED_RESUMABLE);
        assert_eq!(script.pauses, waits.count(), "pauses: {what}");
    }

    #[test]
    fn every_script_of_four_answers() {
        let n = ANSWERS.len();
        for script in 0..n.pow(4) {
            let answers = [0, 1, 2, 3].map(|at| ANSWERS[script / n.pow(at) % n]);
            for patience in 1..=5 {
                check(&answers, patience, false);
                check(&answers, patience, true);
            }
        }
    }

    #[test]
    fn busy_after_which_it_is_not_executed_is_not_untouched() {
        check(&[Status::SYS_BUSY, Status::UD], 9, false);
    }

    #[test]
    fn an_end_without_patience_is_an_end() {
        check(&[Status::INTERRUPTED_RESUMABLE, Status::SUCCESS], 1, false);
        check(&[Status::SUCCESS], 0, true);
    }
}

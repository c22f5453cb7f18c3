// SPDX-License-Identifier: GPL-2.0

//! What became of a leaf, as custody believes it.

use crate::abi::Status;
use core::marker::PhantomData;

/// Ties an answer to the one record that it is for: no two have the same lifetime, and none can be
/// made from another.
pub(crate) type Brand<'id> = PhantomData<fn(&'id ()) -> &'id ()>;

/// What became of a leaf that takes or releases pages.
///
/// Custody believes it, so only those who made the call can make one, and it is good for the record
/// whose pages were named only: that is what the lifetime is for.
#[derive(Debug)]
pub(crate) struct Answer<'id> {
    pub(super) status: Status,
    end: End,
    pub(super) list_ok: bool,
    _brand: Brand<'id>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// No SEAMCALL was made.
    NotCalled,
    /// The leaf came to an end.
    Final,
    /// The TDX Module was entered, and whatever it said last is no success.
    Entered,
    /// It was left while it could still be resumed.
    GivenUp,
}

impl<'id> Answer<'id> {
    /// The leaf ended with `status`.
    ///
    /// # Safety
    ///
    /// A leaf with these pages for its operand was called and ended so. If `status` says that it
    /// was not executed, no earlier call with these pages was: not even one that said "busy".
    pub(crate) const unsafe fn ended(status: Status) -> Self {
        Self {
            status,
            end: End::Final,
            list_ok: true,
            _brand: PhantomData,
        }
    }

    /// The leaf was called, the TDX Module was entered, and there was no success: `status` is what
    /// was said last, which may be that the last call was not executed.
    pub(crate) const fn failed(status: Status) -> Self {
        Self {
            status,
            end: End::Entered,
            list_ok: true,
            _brand: PhantomData,
        }
    }

    /// The leaf was called, was interrupted, and has not ended: `status` is what it said last.
    pub(crate) const fn given_up(status: Status) -> Self {
        Self {
            status,
            end: End::GivenUp,
            list_ok: true,
            _brand: PhantomData,
        }
    }

    /// The leaf was not called, because of what `status` says.
    ///
    /// # Safety
    ///
    /// No SEAMCALL was made with these pages for its operand.
    pub(crate) const unsafe fn not_called(status: Status) -> Self {
        Self {
            status,
            end: End::NotCalled,
            list_ok: true,
            _brand: PhantomData,
        }
    }

    /// Memory that no root page can list, or that has not the pages that are wanted: no leaf was
    /// called.
    pub(super) const CANNOT_LIST: Self = Self {
        status: Status::OPERAND_INVALID,
        end: End::NotCalled,
        list_ok: true,
        _brand: PhantomData,
    };

    /// The same, and whether the list that the leaf gave back is as it must be. It counts after
    /// success only.
    pub(crate) const fn with_list(self, list_ok: bool) -> Self {
        Self { list_ok, ..self }
    }

    /// The last status.
    pub(crate) const fn status(&self) -> Status {
        self.status
    }

    /// The leaf came to an end, and it was success, perhaps with a note beside it.
    pub(crate) const fn is_success(&self) -> bool {
        matches!(self.end, End::Final) && self.status.is_success_class()
    }

    /// The leaf was left while it could still be resumed.
    pub(crate) const fn is_given_up(&self) -> bool {
        matches!(self.end, End::GivenUp)
    }

    /// The pages were never named to the TDX Module.
    pub(crate) const fn is_untouched(&self) -> bool {
        match self.end {
            End::NotCalled => true,
            End::Final => self.status.is_not_executed(),
            End::Entered | End::GivenUp => false,
        }
    }
}

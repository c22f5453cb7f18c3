// SPDX-License-Identifier: GPL-2.0

//! Handles, and an array's life by way of the C functions with one allocation after the other failing.
//! The sample drivers try the rest.

use super::{
    array::{
        tdx_page_array_create,
        tdx_page_array_end,
        tdx_page_array_nr_pages,
        tdx_page_array_vmap, //
    },
    handle::{
        Handle,
        Kind,
        Misuse, //
    },
    table::for_each,
    user::{
        tdx_pages_register,
        tdx_pages_unregister, //
    }, //
};
use crate::bindings;
use kernel::{
    error::from_err_ptr,
    prelude::*, //
};

const KINDS: [Kind; 5] = [
    Kind::User,
    Kind::Array,
    Kind::Iommu,
    Kind::Session,
    Kind::Stream,
];

/// Objects that drivers have now.
fn objects() -> usize {
    let mut count = 0;
    for_each(|_| count += 1);
    count
}

/// A user, an array, and its mapping.
fn life() -> Result {
    // SAFETY: It is a string.
    let user = from_err_ptr(unsafe { tdx_pages_register(c"suite".as_char_ptr()) })?;
    let with_user = || {
        let array = from_err_ptr(tdx_page_array_create(user, 9, -1))?;
        let pages = tdx_page_array_nr_pages(array);
        let mapped = from_err_ptr(tdx_page_array_vmap(array));
        tdx_page_array_end(array);
        expect_eq!(pages, 9);
        mapped.map(drop)
    };
    let result = with_user();
    tdx_pages_unregister(user);
    result
}

#[kunit_tests(tdx_pages_capi)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_no_address() -> Result {
        for kind in KINDS {
            for serial in [1, 2, 0xfff, (1 << 45) - 1] {
                let handle = Handle::new(serial, kind).ok_or(EINVAL)?;
                expect_eq!(Handle::parse(handle.raw()), Some(handle));
                expect_eq!((handle.serial(), handle.kind()), (serial, kind));
                // Bits 63:56 are neither all clear nor all set: it is not canonical, even with
                // five levels of page tables.
                expect!(!matches!(handle.raw() >> 56, 0 | 0xff));
                expect_eq!(Misuse::look(handle.raw(), kind), Ok(handle));
            }
            expect_eq!(Handle::new(1 << 45, kind), None);
        }
        Ok(())
    }

    #[test]
    fn what_is_no_handle() -> Result {
        let handle = Handle::new(7, Kind::Array).ok_or(EINVAL)?;
        let look = |address| Misuse::look(address, Kind::Array);
        expect_eq!(look(0), Err(Misuse::Null));
        expect_eq!(look(usize::MAX), Err(Misuse::ErrorPointer(1)));
        expect_eq!(look(usize::MAX - 4094), Err(Misuse::ErrorPointer(4095)));
        // No kind has this number, and no address around it the mark.
        for address in [usize::MAX - 4095, 8, handle.raw() | 7, handle.raw() & !7] {
            expect_eq!(look(address), Err(Misuse::NoHandle(address)));
        }
        let other = Misuse::look(handle.raw(), Kind::Stream);
        expect_eq!(other, Err(Misuse::OtherKind(handle)));
        Ok(())
    }

    #[test]
    fn every_allocation_fails_in_turn() -> Result {
        // SAFETY: No preconditions.
        if !unsafe { bindings::tdx_pages_test_can_fail() } {
            return Err(EOPNOTSUPP);
        }
        let before = objects();
        for nth in 1..1000 {
            // SAFETY: Called from a test, as below.
            unsafe { bindings::tdx_pages_test_fail_nth(nth) };
            let result = life();
            // SAFETY: As above.
            let failed = unsafe { bindings::tdx_pages_test_fail_left() } == 0;
            // SAFETY: As above.
            unsafe { bindings::tdx_pages_test_fail_nth(0) };
            expect_eq!(objects(), before);
            if !failed {
                // It has come to the end without a failure of its own.
                expect!(nth > 5);
                return result;
            }
            // A list that could not be made shorter, and a large block that was not there, are no
            // errors.
            expect!(matches!(result, Ok(()) | Err(ENOMEM)));
        }
        Err(EIO)
    }
}

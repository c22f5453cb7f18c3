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
            return Err(errno!(EOPNOTSUPP));
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

#[kunit_tests(tdx_pages_capi_users)]
mod users {
    use super::*;
    use crate::abi::field::Field;
    use crate::emu::Emu;
    use kernel::ffi::c_void;

    /// Answers as the software TDX Module wants it, or not at all where `data` is 1.
    ///
    /// # Safety
    ///
    /// `request` and `response` have `len` bytes each.
    unsafe extern "C" fn transfer(
        data: *mut c_void,
        _vendor: u16,
        _type: u8,
        request: *const c_void,
        len: usize,
        response: *mut c_void,
        _room: usize,
    ) -> isize {
        if data.addr() == 1 {
            return -110;
        }
        for at in 0..len {
            // SAFETY: Request and room are as long.
            unsafe { *response.cast::<u8>().add(at) = !*request.cast::<u8>().add(at) };
        }
        // CAST: A message.
        len as isize
    }

    const OPS: bindings::tdx_doe_ops = bindings::tdx_doe_ops {
        transfer: Some(transfer),
    };

    fn balance(user: *mut bindings::tdx_pages_user) -> (u64, u64) {
        let mut balance = bindings::tdx_pages_balance {
            handed_over: 0,
            released: 0,
            held: 0,
            quarantined: 0,
            lost: 0,
        };
        // SAFETY: There is room.
        unsafe { bindings::tdx_pages_user_balance(user, &mut balance) };
        (balance.held, balance.quarantined)
    }

    fn ground() -> Result<Option<Emu>> {
        let Some(emu) = Emu::begin() else {
            return Ok(None);
        };
        emu.set(Field::IOMMU_MT_PAGE_COUNT, 3)?;
        emu.set(Field::EXT_REQUIRED_U8, 0)?;
        emu.set(Field::EXT_REQUIRED_U16, 0)?;
        Ok(Some(emu))
    }

    fn params(rid: u16, data: usize) -> bindings::tdx_spdm_session_params {
        bindings::tdx_spdm_session_params {
            rid,
            nid: -1,
            ops: &OPS,
            data: core::ptr::without_provenance_mut(data),
            segment: 0,
            flags: 0,
            capabilities: 0,
            session_policy: 0,
            certificate_slots: 0,
            raw_bitstream: 0,
        }
    }

    #[test]
    fn an_iommu_of_one_driver_and_a_session_of_another() -> Result {
        let Some(_emu) = ground()? else {
            return Ok(());
        };
        // SAFETY: As in C.
        unsafe {
            let a = from_err_ptr(bindings::tdx_pages_register(c"driver_a".as_char_ptr()))?;
            let b = from_err_ptr(bindings::tdx_pages_register(c"driver_b".as_char_ptr()))?;
            let iommu = from_err_ptr(bindings::tdx_iommu_setup(a, 0xfed9_0000, -1))?;
            let params = params(0x100, 0);
            let session = from_err_ptr(bindings::tdx_spdm_session_create(b, &params))?;
            // It goes with the last session behind it.
            bindings::tdx_iommu_end(iommu);
            bindings::tdx_spdm_session_end(session);
            let (of_a, of_b) = (balance(a), balance(b));
            let again = from_err_ptr(bindings::tdx_iommu_setup(a, 0xfed9_0000, -1));
            bindings::tdx_iommu_end(again.unwrap_or(core::ptr::null_mut()));
            bindings::tdx_pages_unregister(b);
            bindings::tdx_pages_unregister(a);
            expect_eq!((of_a, of_b, again.is_ok()), ((0, 0), (0, 0), true));
        }
        Ok(())
    }

    #[test]
    fn device_info_before_it_is_there_leaves_the_buffer_alone() -> Result {
        let Some(_emu) = ground()? else {
            return Ok(());
        };
        // SAFETY: As in C.
        unsafe {
            let user = from_err_ptr(bindings::tdx_pages_register(c"early".as_char_ptr()))?;
            let iommu = from_err_ptr(bindings::tdx_iommu_setup(user, 0xfed9_0000, -1))?;
            let params = params(0x100, 1);
            let session = from_err_ptr(bindings::tdx_spdm_session_create(user, &params))?;
            let mut buffer = [7u8; 16];
            let room = buffer.as_mut_ptr().cast();
            let got = bindings::tdx_spdm_session_device_info(session, 0, room, 16);
            // Its device does not answer, which is no harm to what comes after.
            let connected = bindings::tdx_spdm_session_connect(session);
            bindings::tdx_spdm_session_end(session);
            bindings::tdx_iommu_end(iommu);
            let left = balance(user);
            bindings::tdx_pages_unregister(user);
            expect_eq!((got, connected, left), (-22, -110, (0, 0)));
            expect_eq!(buffer, [7; 16]);
        }
        Ok(())
    }
}

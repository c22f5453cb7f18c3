// SPDX-License-Identifier: GPL-2.0

//! The C API of `include/linux/tdx_pages.h`, for other drivers.
//!
//! Each function finds out whose handle it was given ([`table`]), does its work with the object in an
//! [`Arc`](kernel::sync::Arc) and without a lock of this module, and turns the result into an errno.
//! What a caller did wrong is told in one line, and changes nothing.

/// Holds our functions against the declarations that C sees: another signature does not compile.
///
/// With as many `_` as there are arguments. Both become pointers to unsafe functions, since what
/// bindgen makes is unsafe and ours need not be.
macro_rules! as_declared {
    ($($name:ident($($argument:tt),*)),+ $(,)?) => {
        $(
            const _: () = {
                // The elements of an array have one type.
                let _ = [
                    $crate::bindings::$name as unsafe extern "C" fn($($argument),*) -> _,
                    $name as unsafe extern "C" fn($($argument),*) -> _,
                ];
            };
        )+
    };
}

mod array;
mod end;
mod handle;
mod iommu;
mod item;
mod session;
mod stream;
#[cfg(TDX_PAGES_KUNIT)]
mod suite;
mod table;
mod user;

pub(crate) use self::table::{
    for_each,
    init,
    Open, //
};

use self::handle::Handle;
use crate::mm::blocks::Node;
use crate::print::may_tell_misuse;
use kernel::{
    ffi::c_int,
    fmt,
    prelude::*, //
};

/// The node that a caller means.
fn node(nid: c_int) -> Node {
    if nid >= 0 {
        Node::Id(nid)
    } else {
        Node::Any
    }
}

/// Tells what a caller did wrong; the error to return.
fn wrong(function: &str, what: fmt::Arguments<'_>, error: Error) -> Error {
    if may_tell_misuse() {
        pr_warn!("{}(): {}\n", function, what);
    }
    error
}

/// A pointer of the caller's to memory of its own: not NULL, no error pointer, and no handle.
/// Whether there is memory cannot be found out.
fn usable<T>(function: &str, name: &str, pointer: *const T) -> Result<*const T> {
    let address = pointer.addr();
    if pointer.is_null() || handle::errno(address).is_some() || Handle::is_like(address) {
        return Err(wrong(
            function,
            fmt!("{name} is no pointer to memory: {address:#x}"),
            EINVAL,
        ));
    }
    Ok(pointer)
}

/// The same for memory that is written to.
fn usable_mut<T>(function: &str, name: &str, pointer: *mut T) -> Result<*mut T> {
    usable(function, name, pointer).map(<*const T>::cast_mut)
}

/// What a function that makes something returns: the handle, or an error pointer.
fn made<T>(result: Result<Handle>) -> *mut T {
    match result {
        Ok(handle) => core::ptr::without_provenance_mut(handle.raw()),
        Err(error) => error.to_ptr(),
    }
}

/// What a function without a result returns.
fn done(result: Result) -> c_int {
    result.map_or_else(Error::to_errno, |()| 0)
}

/// What a function returns that gives a length.
fn length(result: Result<usize>) -> isize {
    match result.and_then(|len| isize::try_from(len).map_err(|_| EOVERFLOW)) {
        Ok(len) => len,
        // CAST: A small negative number.
        Err(error) => error.to_errno() as isize,
    }
}

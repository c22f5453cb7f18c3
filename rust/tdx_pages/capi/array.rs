// SPDX-License-Identifier: GPL-2.0

//! Arrays of host pages.

use super::{
    done,
    made,
    node,
    table::{
        Api,
        Call, //
    },
    usable,
    usable_mut,
    user::Registered,
    wrong, //
};
use crate::bindings;
use crate::custody::memory::Memory;
use crate::mm::{
    self,
    blocks::Node,
    mapping::Mapping,
    Blocks, //
};
use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// An array.
#[pin_data]
pub(super) struct Array {
    pages: usize,
    node: Option<i32>,
    // Held while bytes are copied.
    #[pin]
    state: Mutex<State>,
}

/// Who has its memory.
enum State {
    /// It is not mapped.
    Host(Blocks),
    /// It is mapped in one piece.
    Mapped(Mapping),
    /// On the way from one to the other.
    Moving,
}

impl State {
    fn blocks(&self) -> Result<&Blocks> {
        match self {
            Self::Host(blocks) => Ok(blocks),
            Self::Mapped(mapping) => Ok(mapping.memory()),
            // Not seen: the lock is held on the way.
            Self::Moving => Err(EINVAL),
        }
    }
}

impl Array {
    fn new(pages: usize, node: Node) -> Result<Arc<Self>> {
        let memory = Blocks::new(pages, node)?;
        let (pages, node) = (memory.pages(), memory.node());
        Arc::pin_init(
            pin_init!(Self {
                pages,
                node,
                state <- new_mutex!(State::Host(memory)),
            }),
            GFP_KERNEL,
        )
    }

    /// The number of its pages.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// The NUMA node of its first page.
    pub(super) fn node(&self) -> Option<i32> {
        self.node
    }

    /// Maps it. `EBUSY` if it is mapped, `ENOMEM`.
    fn map(&self) -> Result<*mut u8> {
        let mut state = self.state.lock();
        match core::mem::replace(&mut *state, State::Moving) {
            State::Host(blocks) => match blocks.into_mapping() {
                Ok(mapping) => {
                    let va = mapping.va();
                    *state = State::Mapped(mapping);
                    Ok(va)
                }
                Err((error, blocks)) => {
                    *state = State::Host(blocks);
                    Err(error)
                }
            },
            other => {
                *state = other;
                Err(EBUSY)
            }
        }
    }

    /// Ends the mapping. `EINVAL` if there is none.
    fn unmap(&self) -> Result {
        let mut state = self.state.lock();
        match core::mem::replace(&mut *state, State::Moving) {
            State::Mapped(mapping) => {
                *state = State::Host(mapping.into_memory());
                Ok(())
            }
            other => {
                *state = other;
                Err(EINVAL)
            }
        }
    }
}

as_declared!(
    tdx_page_array_create(_, _, _),
    tdx_page_array_nr_pages(_),
    tdx_page_array_nid(_),
    tdx_page_array_read(_, _, _, _),
    tdx_page_array_write(_, _, _, _),
    tdx_page_array_vmap(_),
    tdx_page_array_vunmap(_),
    tdx_page_array_end(_),
);

/// Allocates an array; see the header.
#[no_mangle]
pub(super) extern "C" fn tdx_page_array_create(
    user: *mut bindings::tdx_pages_user,
    nr_pages: usize,
    nid: c_int,
) -> *mut bindings::tdx_page_array {
    let function = "tdx_page_array_create";
    let create = || {
        let call: Call<Registered> = Api::call(function, user)?;
        if nr_pages == 0 {
            return Err(wrong(function, fmt!("an array of no pages"), EINVAL));
        }
        let available = mm::available_pages();
        // CAST: Both have 64 bits.
        if nr_pages as u64 > available / 2 {
            return Err(wrong(
                function,
                fmt!("{nr_pages} pages are more than half of the {available} available"),
                ENOMEM,
            ));
        }
        let make = || {
            let place = call.api().place()?;
            place.put(&call, Array::new(nr_pages, node(nid))?)
        };
        make().map_err(|error| wrong(function, fmt!("no memory for {nr_pages} pages"), error))
    };
    made(create())
}

/// The number of its pages; see the header.
#[no_mangle]
pub(super) extern "C" fn tdx_page_array_nr_pages(array: *mut bindings::tdx_page_array) -> usize {
    Api::call("tdx_page_array_nr_pages", array)
        .and_then(|call: Call<Array>| Ok(call.object()?.pages()))
        .unwrap_or(0)
}

/// Where its memory is; see the header.
#[no_mangle]
extern "C" fn tdx_page_array_nid(array: *mut bindings::tdx_page_array) -> c_int {
    Api::call("tdx_page_array_nid", array)
        .and_then(|call: Call<Array>| call.object()?.node().ok_or(EINVAL))
        .unwrap_or_else(Error::to_errno)
}

/// Tells of bytes that are not there.
fn outside(function: &str, call: &Call<Array>, offset: usize, len: usize, error: Error) -> Error {
    let array = call.handle();
    wrong(
        function,
        fmt!("{array}: has no {len} bytes from {offset:#x} on"),
        error,
    )
}

/// Copies bytes out; see the header.
///
/// # Safety
///
/// There is room for `len` bytes at `to`, unless it is what [`usable_mut`] finds out.
#[no_mangle]
unsafe extern "C" fn tdx_page_array_read(
    array: *mut bindings::tdx_page_array,
    offset: usize,
    to: *mut c_void,
    len: usize,
) -> c_int {
    let function = "tdx_page_array_read";
    let read = || {
        let call: Call<Array> = Api::call(function, array)?;
        let to = match len {
            0 => to,
            _ => usable_mut(function, "to", to)?,
        };
        let state = call.object()?.state.lock();
        // SAFETY: As this function's requirement.
        unsafe { state.blocks()?.copy_out(offset, to.cast(), len) }
            .map_err(|error| outside(function, &call, offset, len, error))
    };
    done(read())
}

/// Copies bytes in; see the header.
///
/// # Safety
///
/// There are `len` bytes at `from`, unless it is what [`usable`] finds out.
#[no_mangle]
unsafe extern "C" fn tdx_page_array_write(
    array: *mut bindings::tdx_page_array,
    offset: usize,
    from: *const c_void,
    len: usize,
) -> c_int {
    let function = "tdx_page_array_write";
    let write = || {
        let call: Call<Array> = Api::call(function, array)?;
        let from = match len {
            0 => from,
            _ => usable(function, "from", from)?,
        };
        let state = call.object()?.state.lock();
        // SAFETY: As this function's requirement; the lock keeps other copies out.
        unsafe { state.blocks()?.copy_in(offset, from.cast(), len) }
            .map_err(|error| outside(function, &call, offset, len, error))
    };
    done(write())
}

/// Maps it; see the header.
#[no_mangle]
pub(super) extern "C" fn tdx_page_array_vmap(array: *mut bindings::tdx_page_array) -> *mut c_void {
    let function = "tdx_page_array_vmap";
    let map = || {
        let call: Call<Array> = Api::call(function, array)?;
        call.object()?.map().map_err(|error| {
            let array = call.handle();
            let why = match error {
                EBUSY => "is mapped already",
                _ => "no memory to map it",
            };
            wrong(function, fmt!("{array}: {why}"), error)
        })
    };
    map().map_or_else(Error::to_ptr, <*mut u8>::cast)
}

/// Ends the mapping; see the header.
#[no_mangle]
extern "C" fn tdx_page_array_vunmap(array: *mut bindings::tdx_page_array) -> c_int {
    let function = "tdx_page_array_vunmap";
    let unmap = || {
        let call: Call<Array> = Api::call(function, array)?;
        call.object()?.unmap().map_err(|error| {
            let array = call.handle();
            wrong(function, fmt!("{array}: is not mapped"), error)
        })
    };
    done(unmap())
}

/// Ends it; see the header.
#[no_mangle]
pub(super) extern "C" fn tdx_page_array_end(array: *mut bindings::tdx_page_array) {
    Api::end::<Array, _>("tdx_page_array_end", array);
}

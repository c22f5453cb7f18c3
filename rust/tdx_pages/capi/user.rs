// SPDX-License-Identifier: GPL-2.0

//! Registration.

use super::{
    done,
    made,
    table::{
        Api,
        Call, //
    },
    usable,
    usable_mut,
    wrong, //
};
use crate::bindings;
use crate::users::registry::Registration;
use kernel::{
    ffi::{
        c_char,
        c_int, //
    },
    prelude::*,
    str::CStr,
    sync::Arc, //
};

/// A driver that is registered.
pub(super) struct Registered {
    registration: Registration,
    // The last: this kernel module stays as long as the rest.
    _module: Hold,
}

impl Registered {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.registration.user().name()
    }

    /// The registration.
    pub(super) fn registration(&self) -> &Registration {
        &self.registration
    }
}

/// Keeps this kernel module loaded.
struct Hold(());

impl Hold {
    /// [`None`] if it is going.
    fn new() -> Option<Self> {
        // SAFETY: No preconditions; put back by `drop`.
        unsafe { bindings::tdx_pages_hold() }.then_some(Self(()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // SAFETY: It was held by `new`, and is let go once. Our caller has a reference of its own,
        // by the symbol that it called.
        unsafe { bindings::tdx_pages_let_go() };
    }
}

fn register(name: *const c_char) -> *mut bindings::tdx_pages_user {
    let function = "tdx_pages_register";
    let register = || {
        let name = usable(function, "name", name)?;
        // SAFETY: The caller gives a string; see the header.
        let name = unsafe { CStr::from_char_ptr(name) };
        let api = Api::current(function)?;
        let module =
            Hold::new().ok_or_else(|| wrong(function, fmt!("tdx_pages is going"), ENODEV))?;
        let place = api.place()?;
        let registered = Registered {
            // What is no text is no name either, and is told there.
            registration: Registration::new(api.kernel(), name.to_str().unwrap_or(""))?,
            _module: module,
        };
        place.register(Arc::new(registered, GFP_KERNEL)?)
    };
    made(register())
}

as_declared!(
    tdx_pages_register(_),
    tdx_pages_unregister(_),
    tdx_pages_user_balance(_, _),
);

/// Registers a user; see the header.
///
/// # Safety
///
/// `name` is a string, or what [`usable`] finds out.
#[no_mangle]
pub(super) unsafe extern "C" fn tdx_pages_register(
    name: *const c_char,
) -> *mut bindings::tdx_pages_user {
    register(name)
}

/// Ends a registration; see the header.
#[no_mangle]
pub(super) extern "C" fn tdx_pages_unregister(user: *mut bindings::tdx_pages_user) {
    Api::end_user("tdx_pages_unregister", user);
}

/// Counts a user's pages; see the header.
///
/// # Safety
///
/// There is room for a balance at `balance`, unless it is what [`usable_mut`] finds out.
#[no_mangle]
unsafe extern "C" fn tdx_pages_user_balance(
    user: *mut bindings::tdx_pages_user,
    balance: *mut bindings::tdx_pages_balance,
) -> c_int {
    let function = "tdx_pages_user_balance";
    let count = || {
        let call: Call<Registered> = Api::call(function, user)?;
        let to = usable_mut(function, "balance", balance)?;
        let balance = call.object()?.registration().user().account().balance();
        // CAST: Both have 64 bits.
        let balance = bindings::tdx_pages_balance {
            handed_over: balance.handed_over as u64,
            released: balance.released as u64,
            held: balance.held as u64,
            quarantined: balance.quarantined as u64,
            lost: balance.lost as u64,
        };
        // SAFETY: As this function's requirement.
        unsafe { to.write(balance) };
        Ok(())
    };
    done(count())
}

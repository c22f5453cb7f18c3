// SPDX-License-Identifier: GPL-2.0

//! SPDM sessions.

use super::{
    done,
    iommu::Unit,
    length,
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
use crate::abi::spdm::{
    Management,
    SpdmConfig, //
};
use crate::bindings;
use crate::users::{
    session::{
        Session,
        SessionOptions,
        Stage, //
    },
    talk::{
        Protocol,
        Transport, //
    }, //
};
use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::Arc, //
};

/// What `tdx_doe_ops.transfer` is.
type Transfer = unsafe extern "C" fn(
    data: *mut c_void,
    vendor: u16,
    object_type: u8,
    request: *const c_void,
    request_len: usize,
    response: *mut c_void,
    response_len: usize,
) -> isize;

/// The way to a device, by way of its driver.
///
/// # Invariants
///
/// `transfer` may be called with `data`, from any task, until this is dropped: the driver has
/// promised it, see the header.
pub(super) struct Doe {
    api: Arc<Api>,
    // The device is behind one of them, perhaps. They go after the session's pages are back.
    _units: KVec<Arc<Unit>>,
    transfer: Transfer,
    data: *mut c_void,
}

// SAFETY: By the invariant, any task may use it.
unsafe impl Send for Doe {}

impl Transport for Doe {
    fn transfer(
        &mut self,
        protocol: Protocol,
        request: &[u8],
        response: &mut [u8],
    ) -> Result<usize> {
        let _transfer = self.api.transfer()?;
        // SAFETY: By the invariant it may be called; both slices outlive the call.
        let len = unsafe {
            (self.transfer)(
                self.data,
                protocol.vendor,
                protocol.object_type,
                request.as_ptr().cast(),
                request.len(),
                response.as_mut_ptr().cast(),
                response.len(),
            )
        };
        // Too long a response is found out there.
        usize::try_from(len).map_err(|_| c_int::try_from(len).map_or(EIO, Error::from_errno))
    }
}

/// What SPDM is asked for. `EINVAL`.
fn config(function: &str, params: &bindings::tdx_spdm_session_params) -> Result<SpdmConfig> {
    if params.flags & !bindings::TDX_SPDM_CONFIG != 0 {
        return Err(wrong(
            function,
            fmt!("flags {:#x} are not known", params.flags),
            EINVAL,
        ));
    }
    if params.flags & bindings::TDX_SPDM_CONFIG == 0 {
        return Ok(SpdmConfig::DEFAULT);
    }
    let known = SpdmConfig::HEARTBEAT | SpdmConfig::KEY_UPDATE;
    if params.capabilities & !known != 0 {
        return Err(wrong(
            function,
            fmt!("capabilities {:#x} are not known", params.capabilities),
            EINVAL,
        ));
    }
    Ok(SpdmConfig {
        capabilities: params.capabilities,
        session_policy: params.session_policy,
        certificate_slots: params.certificate_slots,
        raw_bitstream: params.raw_bitstream,
    })
}

as_declared!(
    tdx_spdm_session_create(_, _),
    tdx_spdm_session_connect(_),
    tdx_spdm_session_device_info(_, _, _, _),
    tdx_spdm_session_manage(_, _),
    tdx_spdm_session_disconnect(_),
    tdx_spdm_session_id(_, _),
    tdx_spdm_session_end(_),
);

/// Makes a session; see the header.
///
/// # Safety
///
/// `params` and `params.ops` are what the header asks for, unless they are what [`usable`] finds
/// out.
#[no_mangle]
unsafe extern "C" fn tdx_spdm_session_create(
    user: *mut bindings::tdx_pages_user,
    params: *const bindings::tdx_spdm_session_params,
) -> *mut bindings::tdx_spdm_session {
    let function = "tdx_spdm_session_create";
    let create = || {
        let call: Call<Registered> = Api::call(function, user)?;
        call.api().may_talk(function)?;
        let params = usable(function, "params", params)?;
        // SAFETY: As this function's requirement. All fields are integers and pointers, which any
        // bits will do for; a copy, for they may change.
        let params = unsafe { params.read() };
        let ops = usable(function, "params.ops", params.ops)?;
        // SAFETY: As this function's requirement.
        let transfer = unsafe { (*ops).transfer }
            .ok_or_else(|| wrong(function, fmt!("params.ops has no transfer"), EINVAL))?;
        let options = SessionOptions {
            segment: params.segment,
            rid: params.rid,
            config: config(function, &params)?,
            node: node(params.nid),
        };
        // INVARIANT: The caller's promise.
        let transport = Doe {
            api: call.api().clone(),
            _units: call.api().units()?,
            transfer,
            data: params.data,
        };
        let place = call.api().place()?;
        let registration = call.object()?.registration();
        place.put(&call, Session::new(registration, &options, transport)?)
    };
    made(create())
}

/// Connects; see the header.
#[no_mangle]
extern "C" fn tdx_spdm_session_connect(session: *mut bindings::tdx_spdm_session) -> isize {
    let function = "tdx_spdm_session_connect";
    let connect = || {
        let call: Call<Session<Doe>> = Api::call(function, session)?;
        call.object()?.connect()
    };
    length(connect())
}

/// Copies device info out; see the header.
///
/// # Safety
///
/// There is room for `len` bytes at `to`, unless it is what [`usable_mut`] finds out.
#[no_mangle]
unsafe extern "C" fn tdx_spdm_session_device_info(
    session: *mut bindings::tdx_spdm_session,
    offset: usize,
    to: *mut c_void,
    len: usize,
) -> isize {
    let function = "tdx_spdm_session_device_info";
    let copy = || {
        let call: Call<Session<Doe>> = Api::call(function, session)?;
        if len == 0 {
            return Ok(0);
        }
        let to = usable_mut(function, "to", to)?.cast::<u8>();
        if isize::try_from(len).is_err() {
            return Err(wrong(
                function,
                fmt!("there is no room for {len} bytes"),
                EINVAL,
            ));
        }
        let session = call.object()?;
        if matches!(session.stage(), Stage::Created | Stage::Connecting) {
            let session = call.handle();
            return Err(wrong(
                function,
                fmt!("{session}: was never connected"),
                EINVAL,
            ));
        }
        // SAFETY: As this function's requirement. What was there before is of no use, and may be
        // nothing that Rust may look at.
        let to = unsafe {
            to.write_bytes(0, len);
            core::slice::from_raw_parts_mut(to, len)
        };
        Ok(session.device_info(offset, to))
    };
    length(copy())
}

/// Does something with it; see the header.
#[no_mangle]
extern "C" fn tdx_spdm_session_manage(
    session: *mut bindings::tdx_spdm_session,
    operation: bindings::tdx_spdm_operation,
) -> c_int {
    let function = "tdx_spdm_session_manage";
    let manage = || {
        let call: Call<Session<Doe>> = Api::call(function, session)?;
        let Some(operation) = Management::from_raw(u64::from(operation)) else {
            return Err(wrong(
                function,
                fmt!("operation {operation} is not known"),
                EINVAL,
            ));
        };
        call.object()?.manage(operation)
    };
    done(manage())
}

/// Disconnects; see the header.
#[no_mangle]
extern "C" fn tdx_spdm_session_disconnect(session: *mut bindings::tdx_spdm_session) -> c_int {
    let function = "tdx_spdm_session_disconnect";
    let disconnect = || {
        let call: Call<Session<Doe>> = Api::call(function, session)?;
        call.object()?.disconnect()
    };
    done(disconnect())
}

/// What the TDX Module calls it; see the header.
///
/// # Safety
///
/// There is room for a number at `id`, unless it is what [`usable_mut`] finds out.
#[no_mangle]
unsafe extern "C" fn tdx_spdm_session_id(
    session: *mut bindings::tdx_spdm_session,
    id: *mut u64,
) -> c_int {
    let function = "tdx_spdm_session_id";
    let tell = || {
        let call: Call<Session<Doe>> = Api::call(function, session)?;
        let to = usable_mut(function, "id", id)?;
        // SAFETY: As this function's requirement.
        unsafe { to.write(call.object()?.id()) };
        Ok(())
    };
    done(tell())
}

/// Ends it; see the header.
#[no_mangle]
extern "C" fn tdx_spdm_session_end(session: *mut bindings::tdx_spdm_session) {
    Api::end::<Session<Doe>, _>("tdx_spdm_session_end", session);
}

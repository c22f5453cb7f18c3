// SPDX-License-Identifier: GPL-2.0

//! IDE streams.

use super::{
    done,
    made,
    node,
    session::Doe,
    table::{
        Api,
        Call, //
    },
    usable,
    usable_mut,
    wrong, //
};
use crate::abi::{
    ide::StreamControl,
    ide_range::{
        AddressRange,
        RidRange, //
    }, //
};
use crate::bindings;
use crate::users::{
    session::Session,
    stream::{
        Stream,
        StreamOptions, //
    }, //
};
use kernel::{
    ffi::c_int,
    fmt,
    prelude::*, //
};

/// What a stream is to be like, checked. `EINVAL`.
fn options(function: &str, params: &bindings::tdx_ide_stream_params) -> Result<StreamOptions> {
    let bad = |what: fmt::Arguments<'_>| wrong(function, what, EINVAL);
    let (flags, class, segment) = (params.flags, params.traffic_class, params.segment);
    if flags & !bindings::TDX_IDE_PCRC != 0 {
        return Err(bad(fmt!("flags {flags:#x} are not known")));
    }
    let control = StreamControl::PLAIN
        .with_traffic_class(class)
        .ok_or_else(|| bad(fmt!("traffic class {class} is above 7")))?;
    let control = match flags & bindings::TDX_IDE_PCRC {
        0 => control,
        _ => control.with_pcrc(),
    };
    let (base, limit) = (params.rid_base, params.rid_limit);
    if base > limit {
        return Err(bad(fmt!(
            "requester ids from {base:#x} to {limit:#x} are none"
        )));
    }
    let segment =
        u8::try_from(segment).map_err(|_| bad(fmt!("PCI segment {segment} is above 255")))?;
    let (from, to) = (params.addr_base, params.addr_limit);
    let addresses = AddressRange::new(from, to).ok_or_else(|| {
        bad(fmt!(
            "addresses from {from:#x} to {to:#x} are no blocks of 1 MiB"
        ))
    })?;
    Ok(StreamOptions {
        root_port: params.root_port,
        control,
        rids: RidRange {
            segment,
            base,
            limit,
        },
        addresses,
        node: node(params.nid),
    })
}

as_declared!(
    tdx_ide_stream_create(_, _),
    tdx_ide_stream_set_up_keys(_),
    tdx_ide_stream_refresh_keys(_),
    tdx_ide_stream_stop_keys(_),
    tdx_ide_stream_id(_, _, _),
    tdx_ide_stream_end(_),
);

/// Makes a stream; see the header.
///
/// # Safety
///
/// `params` is what the header asks for, unless it is what [`usable`] finds out.
#[no_mangle]
unsafe extern "C" fn tdx_ide_stream_create(
    session: *mut bindings::tdx_spdm_session,
    params: *const bindings::tdx_ide_stream_params,
) -> *mut bindings::tdx_ide_stream {
    let function = "tdx_ide_stream_create";
    let create = || {
        let call: Call<Session<Doe>> = Api::call(function, session)?;
        let params = usable(function, "params", params)?;
        // SAFETY: As this function's requirement. All fields are integers, which any bits will do
        // for; a copy, for they may change.
        let params = unsafe { params.read() };
        let options = options(function, &params)?;
        let place = call.api().place()?;
        place.put(&call, Stream::new(call.object()?, &options)?)
    };
    made(create())
}

/// An exchange for a stream.
fn keys(
    function: &str,
    stream: *mut bindings::tdx_ide_stream,
    f: fn(&Stream<Doe>) -> Result,
) -> c_int {
    let exchange = || {
        let call: Call<Stream<Doe>> = Api::call(function, stream)?;
        f(call.object()?)
    };
    done(exchange())
}

/// Sets the keys up; see the header.
#[no_mangle]
extern "C" fn tdx_ide_stream_set_up_keys(stream: *mut bindings::tdx_ide_stream) -> c_int {
    keys("tdx_ide_stream_set_up_keys", stream, Stream::set_up_keys)
}

/// Changes the keys; see the header.
#[no_mangle]
extern "C" fn tdx_ide_stream_refresh_keys(stream: *mut bindings::tdx_ide_stream) -> c_int {
    keys("tdx_ide_stream_refresh_keys", stream, Stream::refresh_keys)
}

/// Stops the stream; see the header.
#[no_mangle]
extern "C" fn tdx_ide_stream_stop_keys(stream: *mut bindings::tdx_ide_stream) -> c_int {
    keys("tdx_ide_stream_stop_keys", stream, Stream::stop_keys)
}

/// What it is called; see the header.
///
/// # Safety
///
/// There is room for a number at each of `id` and `ide_id`, unless it is NULL or what [`usable_mut`]
/// finds out.
#[no_mangle]
unsafe extern "C" fn tdx_ide_stream_id(
    stream: *mut bindings::tdx_ide_stream,
    id: *mut u64,
    ide_id: *mut u64,
) -> c_int {
    let function = "tdx_ide_stream_id";
    let wanted = |name, to: *mut u64| match to.is_null() {
        true => Ok(None),
        false => usable_mut(function, name, to).map(Some),
    };
    let tell = || {
        let call: Call<Stream<Doe>> = Api::call(function, stream)?;
        let stream = call.object()?;
        let (id, ide_id) = (wanted("id", id)?, wanted("ide_id", ide_id)?);
        if let Some(to) = id {
            // SAFETY: As this function's requirement.
            unsafe { to.write(stream.id()) };
        }
        if let Some(to) = ide_id {
            // SAFETY: As above.
            unsafe { to.write(stream.ide_id()) };
        }
        Ok(())
    };
    done(tell())
}

/// Ends it; see the header.
#[no_mangle]
extern "C" fn tdx_ide_stream_end(stream: *mut bindings::tdx_ide_stream) {
    Api::end::<Stream<Doe>, _>("tdx_ide_stream_end", stream);
}

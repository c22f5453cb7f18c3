// SPDX-License-Identifier: GPL-2.0

//! A driver without a device that uses the C API of tdx_pages from Rust, well and badly.
//!
//! Bindings are made from `<linux/tdx_pages.h>`; on top is a wrapper of a few lines, with which an
//! object cannot be used after its end, be ended twice, or outlive its user. The scenarios that do
//! so all the same call the C functions by hand.
//!
//! Parameter `scenario` chooses what is done at load: 0 whole lives, 1 nothing is ended, 2 ended
//! twice, 3 used after the end, 4 what is no object, 5 an array is kept until unload. Each step is
//! a line in the kernel log, "sample: ok NAME" or "sample: not ok NAME: why".

mod bindings {
    #![allow(
        clippy::all,
        dead_code,
        missing_docs,
        non_camel_case_types,
        non_upper_case_globals,
        unreachable_pub,
        unused_imports
    )]

    include!(env!("TDX_PAGES_SAMPLE_BINDINGS"));
}

use bindings::*;
use core::{
    borrow::Borrow,
    marker::PhantomData,
    mem::{
        forget,
        ManuallyDrop, //
    },
    ptr::{
        null,
        null_mut, //
    }, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*, //
};

module! {
    type: Sample,
    name: "tdx_pages_sample_rust",
    authors: ["The tdx-pages developers"],
    description: "A sample user of tdx_pages, in Rust",
    license: "GPL",
    params: {
        scenario: u32 {
            default: 0,
            description: "What to do: 0 life, 1 leak, 2 twice, 3 after, 4 bad, 5 hold",
        },
        iommu_base: u64 {
            default: 0xfed91000,
            description: "Register base of an IOMMU that is not set up yet",
        },
    },
}

const NO_NODE: c_int = -1;
const PAGE: usize = 4096;

const NOTHING: tdx_pages_balance = tdx_pages_balance {
    handed_over: 0,
    released: 0,
    held: 0,
    quarantined: 0,
    lost: 0,
};

/// Something that one function ends.
trait Object {
    /// Ends it.
    ///
    /// # Safety
    ///
    /// No memory that belongs to it is used any more.
    unsafe fn end(object: *mut Self);
}

macro_rules! objects {
    ($($type:ty: $end:path),+ $(,)?) => {
        $(
            impl Object for $type {
                unsafe fn end(object: *mut Self) {
                    // SAFETY: As this function's requirement.
                    unsafe { $end(object) };
                }
            }
        )+
    };
}

objects! {
    tdx_pages_user: tdx_pages_unregister,
    tdx_page_array: tdx_page_array_end,
    tdx_iommu: tdx_iommu_end,
    tdx_spdm_session: tdx_spdm_session_end,
    tdx_ide_stream: tdx_ide_stream_end,
}

/// An object that is ended when it is dropped, before what it belongs to.
struct Owned<'a, T: Object> {
    raw: *mut T,
    _of: PhantomData<&'a ()>,
}

// SAFETY: The functions of the API may be called from any task.
unsafe impl<T: Object> Send for Owned<'_, T> {}

// SAFETY: As above, and at the same time.
unsafe impl<T: Object> Sync for Owned<'_, T> {}

type User = Owned<'static, tdx_pages_user>;
type Array<'a> = Owned<'a, tdx_page_array>;
type Iommu<'a> = Owned<'a, tdx_iommu>;
type Session<'a> = Owned<'a, tdx_spdm_session>;
type Stream<'a> = Owned<'a, tdx_ide_stream>;

impl<T: Object> Owned<'_, T> {
    fn new(made: *mut T) -> Result<Self> {
        Ok(Self {
            raw: from_err_ptr(made)?,
            _of: PhantomData,
        })
    }
}

impl<T: Object> Drop for Owned<'_, T> {
    fn drop(&mut self) {
        // SAFETY: Nothing of it is lent out for longer than this lives.
        unsafe { T::end(self.raw) };
    }
}

impl User {
    fn register(name: &CStr) -> Result<Self> {
        // SAFETY: It is a string.
        Self::new(unsafe { tdx_pages_register(name.as_char_ptr()) })
    }

    fn balance(&self) -> Result<tdx_pages_balance> {
        let mut balance = NOTHING;
        // SAFETY: It outlives the call.
        to_result(unsafe { tdx_pages_user_balance(self.raw, &mut balance) })?;
        Ok(balance)
    }

    fn array(&self, pages: usize, nid: c_int) -> Result<Array<'_>> {
        // SAFETY: No preconditions.
        Owned::new(unsafe { tdx_page_array_create(self.raw, pages, nid) })
    }

    fn iommu(&self, reg_base: u64) -> Result<Iommu<'_>> {
        // SAFETY: No preconditions.
        Owned::new(unsafe { tdx_iommu_setup(self.raw, reg_base, NO_NODE) })
    }

    fn session(&self) -> Result<Session<'_>> {
        // SAFETY: The parameters outlive the call, and the transfer lives in this kernel module.
        Owned::new(unsafe { tdx_spdm_session_create(self.raw, &session_params()) })
    }
}

impl Array<'_> {
    fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        let (at, len) = (to.as_mut_ptr().cast(), to.len());
        // SAFETY: There is as much room.
        to_result(unsafe { tdx_page_array_read(self.raw, offset, at, len) })
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result {
        let (at, len) = (from.as_ptr().cast(), from.len());
        // SAFETY: There are as many bytes.
        to_result(unsafe { tdx_page_array_write(self.raw, offset, at, len) })
    }

    /// Byte `offset`, by way of a mapping.
    fn mapped(&self, offset: usize) -> Result<u8> {
        // SAFETY: No preconditions.
        let va = from_err_ptr(unsafe { tdx_page_array_vmap(self.raw) })?.cast::<u8>();
        // SAFETY: No preconditions.
        let pages = unsafe { tdx_page_array_nr_pages(self.raw) };
        let byte = match offset < pages * PAGE {
            // SAFETY: It is in the mapping, which goes below.
            true => Ok(unsafe { va.add(offset).read_volatile() }),
            false => Err(ERANGE),
        };
        // SAFETY: The address is not used any more.
        to_result(unsafe { tdx_page_array_vunmap(self.raw) })?;
        byte
    }
}

impl<'a> Session<'a> {
    fn connect(&self) -> Result<usize> {
        // SAFETY: No preconditions.
        let len = unsafe { tdx_spdm_session_connect(self.raw) };
        usize::try_from(len).map_err(|_| c_int::try_from(len).map_or(EIO, Error::from_errno))
    }

    fn manage(&self, operation: tdx_spdm_operation) -> Result {
        // SAFETY: No preconditions.
        to_result(unsafe { tdx_spdm_session_manage(self.raw, operation) })
    }

    fn info(&self, to: &mut [u8]) -> isize {
        let (at, len) = (to.as_mut_ptr().cast(), to.len());
        // SAFETY: There is as much room.
        unsafe { tdx_spdm_session_device_info(self.raw, 0, at, len) }
    }

    fn stream(&self) -> Result<Stream<'a>> {
        // SAFETY: The parameters outlive the call.
        Owned::new(unsafe { tdx_ide_stream_create(self.raw, &STREAM_PARAMS) })
    }
}

/// The device: the same bytes, each complemented.
///
/// # Safety
///
/// `request` and `response` have as many bytes as is said.
unsafe extern "C" fn transfer(
    _data: *mut c_void,
    _vendor: u16,
    _type: u8,
    request: *const c_void,
    request_len: usize,
    response: *mut c_void,
    response_len: usize,
) -> isize {
    let len = request_len.min(response_len);
    for n in 0..len {
        // SAFETY: As this function's requirement.
        unsafe {
            let byte = request.cast::<u8>().add(n).read();
            response.cast::<u8>().add(n).write(!byte);
        }
    }
    // CAST: A few thousand.
    len as isize
}

static OPS: tdx_doe_ops = tdx_doe_ops {
    transfer: Some(transfer),
};

/// What a parameter was set to: `value()` is a reference in Linux 7.2, and a copy in 7.3.
fn parameter<T: Copy>(value: impl Borrow<T>) -> T {
    *value.borrow()
}

fn session_params() -> tdx_spdm_session_params {
    tdx_spdm_session_params {
        segment: 0,
        rid: 0x0200,
        nid: NO_NODE,
        ops: &OPS,
        data: null_mut(),
        flags: 0,
        capabilities: 0,
        session_policy: 0,
        certificate_slots: 0,
        raw_bitstream: 0,
    }
}

const STREAM_PARAMS: tdx_ide_stream_params = tdx_ide_stream_params {
    nid: NO_NODE,
    flags: 0,
    root_port: 0x10,
    traffic_class: 0,
    segment: 0,
    rid_base: 0x0200,
    rid_limit: 0x0200,
    addr_base: 0,
    addr_limit: u64::MAX,
};

/// Tells how a step went.
fn expect<T: PartialEq + core::fmt::Debug>(name: &str, wanted: T, got: T) {
    if wanted == got {
        pr_info!("sample: ok {}\n", name);
    } else {
        pr_err!("sample: not ok {}: {:?}, not {:?}\n", name, got, wanted);
    }
}

/// One of each.
struct All<'a> {
    // Dropped in order.
    stream: Stream<'a>,
    session: Session<'a>,
    iommu: Iommu<'a>,
    array: Array<'a>,
}

impl<'a> All<'a> {
    fn new(user: &'a User) -> Result<Self> {
        let array = user.array(3, 1)?;
        let iommu = user.iommu(parameter(module_parameters::iommu_base.value()))?;
        let session = user.session()?;
        session.connect()?;
        Ok(Self {
            stream: session.stream()?,
            session,
            iommu,
            array,
        })
    }

    /// Their handles, for what cannot be done with objects.
    fn handles(&self, user: &User) -> Handles {
        Handles {
            user: user.raw,
            array: self.array.raw,
            iommu: self.iommu.raw,
            session: self.session.raw,
            stream: self.stream.raw,
        }
    }
}

/// Handles, of which nobody knows whether they are good.
struct Handles {
    user: *mut tdx_pages_user,
    array: *mut tdx_page_array,
    iommu: *mut tdx_iommu,
    session: *mut tdx_spdm_session,
    stream: *mut tdx_ide_stream,
}

fn life() -> Result {
    let user = User::register(c"sample_rust")?;
    let all = All::new(&user)?;

    let mut back = [0; 4];
    expect("array: write", Ok(()), all.array.write(PAGE - 2, b"edge"));
    expect("array: read", Ok(()), all.array.read(PAGE - 2, &mut back));
    expect("array: what was written", *b"edge", back);
    expect("array: mapped", Ok(b'g'), all.array.mapped(PAGE));
    expect(
        "array: past the end",
        Err(ERANGE),
        all.array.write(3 * PAGE, b"x"),
    );
    // SAFETY: No preconditions.
    let nid = unsafe { tdx_page_array_nid(all.array.raw) };
    expect("array: nid", true, nid == 0 || nid == 1);

    let (mut id, mut ide_id) = (0, 0);
    // SAFETY: They outlive the calls.
    let told = unsafe {
        [
            tdx_iommu_id(all.iommu.raw, &mut id),
            tdx_spdm_session_id(all.session.raw, &mut id),
            tdx_ide_stream_id(all.stream.raw, &mut id, &mut ide_id),
        ]
    };
    expect("ids", [0; 3], told);
    for operation in [
        tdx_spdm_operation_TDX_SPDM_HEARTBEAT,
        tdx_spdm_operation_TDX_SPDM_KEY_UPDATE,
        tdx_spdm_operation_TDX_SPDM_DEVICE_INFO,
    ] {
        expect("session: manage", Ok(()), all.session.manage(operation));
    }
    let mut info = [0; 8];
    expect("session: device_info", 8, all.session.info(&mut info));
    // SAFETY: No preconditions.
    let keys = unsafe {
        [
            tdx_ide_stream_set_up_keys(all.stream.raw),
            tdx_ide_stream_refresh_keys(all.stream.raw),
            tdx_ide_stream_stop_keys(all.stream.raw),
        ]
    };
    expect("stream: keys", [0; 3], keys);
    let All {
        stream,
        session,
        iommu,
        array,
    } = all;
    // SAFETY: No preconditions.
    let disconnected = unsafe { tdx_spdm_session_disconnect(session.raw) };
    expect(
        "session: disconnect with a stream",
        EBUSY.to_errno(),
        disconnected,
    );
    drop(stream);
    // SAFETY: No preconditions.
    let disconnected = unsafe { tdx_spdm_session_disconnect(session.raw) };
    expect("session: disconnect", 0, disconnected);
    drop((session, iommu, array));

    // A session goes with its last stream, and an IOMMU with its last session, in whatever order
    // they are ended.
    let All {
        stream,
        session,
        iommu,
        array,
    } = All::new(&user)?;
    drop((array, iommu, session));
    // SAFETY: No preconditions.
    let keys = unsafe { tdx_ide_stream_set_up_keys(stream.raw) };
    expect("stream: keys after its session's end", 0, keys);
    drop(stream);
    expect_balance(&user)
}

fn expect_balance(user: &User) -> Result {
    let balance = user.balance()?;
    expect("balance: all came back", true, balance.handed_over > 0);
    expect("balance", balance.handed_over, balance.released);
    let rest = balance.held + balance.quarantined + balance.lost;
    expect("balance: nothing is left", 0, rest);
    Ok(())
}

fn leak() -> Result {
    let user = User::register(c"sample_rust")?;
    // Safe Rust may do so; the user's end finds them.
    forget(All::new(&user)?);
    forget(user.array(1, NO_NODE)?);
    Ok(())
}

fn twice() -> Result {
    let user = ManuallyDrop::new(User::register(c"sample_rust")?);
    let handles = ManuallyDrop::new(All::new(&user)?).handles(&user);
    for _ in 0..2 {
        // SAFETY: No mapping is used.
        unsafe {
            tdx_ide_stream_end(handles.stream);
            tdx_spdm_session_end(handles.session);
            tdx_iommu_end(handles.iommu);
            tdx_page_array_end(handles.array);
        }
    }
    expect_balance(&user)?;
    // SAFETY: As above.
    unsafe {
        tdx_pages_unregister(handles.user);
        tdx_pages_unregister(handles.user);
    }
    Ok(())
}

/// Calls everything with handles that are not good.
fn use_all(h: &Handles) {
    pr_info!("sample: begin\n");
    let (mut balance, mut id, mut byte) = (NOTHING, 0, 0u8);
    let at: *mut c_void = (&raw mut byte).cast();
    // SAFETY: What is pointed at outlives the calls.
    let numbers = unsafe {
        [
            tdx_pages_user_balance(h.user, &mut balance),
            tdx_page_array_nid(h.array),
            tdx_page_array_read(h.array, 0, at, 1),
            tdx_page_array_write(h.array, 0, at, 1),
            tdx_page_array_vunmap(h.array),
            tdx_iommu_id(h.iommu, &mut id),
            tdx_spdm_session_manage(h.session, 0),
            tdx_spdm_session_disconnect(h.session),
            tdx_spdm_session_id(h.session, &mut id),
            tdx_ide_stream_set_up_keys(h.stream),
            tdx_ide_stream_refresh_keys(h.stream),
            tdx_ide_stream_stop_keys(h.stream),
            tdx_ide_stream_id(h.stream, &mut id, null_mut()),
        ]
    };
    expect("errors", [EINVAL.to_errno(); 13], numbers);
    // SAFETY: As above.
    let lengths = unsafe {
        [
            tdx_spdm_session_connect(h.session),
            tdx_spdm_session_device_info(h.session, 0, at, 1),
        ]
    };
    // CAST: A small negative number.
    expect("lengths", [EINVAL.to_errno() as isize; 2], lengths);
    // SAFETY: As above.
    let pointers = unsafe {
        [
            tdx_page_array_vmap(h.array),
            tdx_page_array_create(h.user, 1, NO_NODE).cast(),
            tdx_iommu_setup(h.user, 0, NO_NODE).cast(),
            tdx_spdm_session_create(h.user, null()).cast(),
            tdx_ide_stream_create(h.session, null()).cast(),
        ]
    };
    expect("pointers", [EINVAL.to_ptr(); 5], pointers);
    // SAFETY: No preconditions.
    expect("nr_pages", 0, unsafe { tdx_page_array_nr_pages(h.array) });
    expect("nothing was written", (0, 0), (id, byte));
    pr_info!("sample: end\n");
}

fn after() -> Result {
    let user = User::register(c"sample_rust")?;
    let all = All::new(&user)?;
    let handles = all.handles(&user);
    drop(all);
    drop(user);
    use_all(&handles);
    Ok(())
}

fn bad() -> Result {
    let user = User::register(c"sample_rust")?;
    let all = All::new(&user)?;
    // Each the handle of something else.
    let h = all.handles(&user);
    use_all(&Handles {
        user: h.array.cast(),
        array: h.iommu.cast(),
        iommu: h.session.cast(),
        session: h.stream.cast(),
        stream: h.user.cast(),
    });
    expect("state as before", Ok(b'x'), {
        all.array.write(5, b"x")?;
        all.array.mapped(5)
    });
    drop(all);
    expect_balance(&user)
}

/// What is kept until this kernel module is unloaded.
struct Sample {
    // Dropped in order; the array belongs to the user behind it.
    _array: Option<Array<'static>>,
    _user: Option<User>,
}

impl kernel::Module for Sample {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut sample = Self {
            _array: None,
            _user: None,
        };
        let done = match parameter::<u32>(module_parameters::scenario.value()) {
            0 => life(),
            1 => leak(),
            2 => twice(),
            3 => after(),
            4 => bad(),
            5 => hold(&mut sample),
            _ => Err(EINVAL),
        };
        expect("done", Ok(()), done);
        Ok(sample)
    }
}

fn hold(sample: &mut Sample) -> Result {
    let user = User::register(c"sample_rust")?;
    // SAFETY: No preconditions.
    let array = Owned::new(unsafe { tdx_page_array_create(user.raw, 600, NO_NODE) })?;
    sample._array = Some(array);
    sample._user = Some(user);
    Ok(())
}

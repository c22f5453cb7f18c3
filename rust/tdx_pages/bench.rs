// SPDX-License-Identifier: GPL-2.0

//! The jobs of `make bench` as this kernel module does them: the functions of
//! `include/tdx_pages/bench.h`.
//!
//! Nothing here is an implementation of its own: memory, custody and seam are those of the product.

use crate::abi::{
    Leaf,
    Status, //
};
use crate::bindings;
use crate::custody::{
    feed::{
        add_all,
        hand_over_for_good, //
    },
    transitions::{
        hand_over,
        Answer,
        HandOverError,
        Held,
        ReleaseError, //
    }, //
};
use crate::mm::{
    blocks::Node,
    Blocks, //
};
use crate::platform::{
    Host,
    Kernel, //
};
use crate::users::{
    iommu::{
        clear,
        Tables, //
    },
    registry::{
        Object,
        Owner, //
    }, //
};
use core::ffi::c_void;
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc, //
};

/// The debugfs files of the benchmark, while it lives.
pub(crate) struct Bench {
    // What the files use must live as long as they do.
    _kernel: Kernel,
}

impl Bench {
    /// Makes the files.
    pub(crate) fn new(kernel: &Kernel) -> Result<Self> {
        // SAFETY: The context lives until the files are removed, by `drop`: `_kernel` holds it.
        to_result(unsafe { bindings::tdx_pages_bench_add(kernel.context()) })?;
        Ok(Self {
            _kernel: kernel.clone(),
        })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // SAFETY: They were added once, by `new`.
        unsafe { bindings::tdx_pages_bench_remove() };
    }
}

/// One object on its way.
enum State {
    Nothing,
    Pages(Blocks),
    Tables(Tables),
    HeldPages(Held<Blocks, Kernel>),
    HeldTables(Held<Tables, Kernel>),
}

/// What the functions below work on.
struct Work {
    kernel: Kernel,
    owner: Owner,
    iommu_id: u64,
    state: State,
}

impl Work {
    fn take(&mut self) -> State {
        core::mem::replace(&mut self.state, State::Nothing)
    }

    fn hand_over(&mut self) -> Result {
        let State::Pages(blocks) = self.take() else {
            return Err(EINVAL);
        };
        let kernel = &self.kernel;
        let held = hand_over(kernel, &self.owner, blocks, Leaf::EXT_MEM_ADD, |recorded| {
            let mut leaf = kernel.seam().ext_mem_add();
            add_all(kernel, recorded, |window| leaf.call(window))
        });
        self.state = State::HeldPages(held.map_err(why)?);
        Ok(())
    }

    fn set_up(&mut self, reg_base: u64) -> Result {
        let State::Tables(tables) = self.take() else {
            return Err(EINVAL);
        };
        let set_up = tables.set_up(&self.kernel, &self.owner, reg_base);
        let (held, id) = set_up.map_err(why)?;
        self.state = State::HeldTables(held);
        self.iommu_id = id;
        Ok(())
    }

    fn hold(&mut self) -> Result {
        let State::Pages(blocks) = self.take() else {
            return Err(EINVAL);
        };
        let mut leaf = self.kernel.seam().ext_mem_add();
        let fed = hand_over_for_good(&self.kernel, &self.owner, blocks, |window| {
            leaf.call(window)
        });
        match fed {
            Ok(fed) if fed.stopped.is_none() => Ok(()),
            Ok(_) => Err(EIO),
            Err((why, _)) => Err(why.into()),
        }
    }

    fn release(&mut self) -> Result {
        let State::HeldPages(held) = self.take() else {
            return Err(EINVAL);
        };
        let released = held.release(Leaf::EXT_MEM_ADD, |_| {
            // SAFETY: It makes a control call, which a real TDX Module refuses.
            let status = Status::from_raw(unsafe { bindings::tdx_pages_bench_forget() });
            // SAFETY: The TDX Module was asked to let go of all that it has, and this is its
            // answer.
            unsafe { Answer::ended(status) }
        });
        self.state = State::Pages(released.map_err(|error| not_released(&error))?);
        Ok(())
    }

    fn clear(&mut self) -> Result {
        let State::HeldTables(held) = self.take() else {
            return Err(EINVAL);
        };
        let (kernel, id) = (&self.kernel, self.iommu_id);
        let released = held.release(Leaf::IOMMU_CLEAR, |tables| clear(kernel, id, tables));
        self.state = State::Tables(released.map_err(|error| not_released(&error))?);
        Ok(())
    }
}

fn why<T>(error: HandOverError<T>) -> Error {
    match error {
        HandOverError::Refused(_, refusal) => refusal.into(),
        HandOverError::Back(_, status) => {
            pr_err!("bench: hand-over answered {}\n", status);
            EIO
        }
        HandOverError::Settled(_) => EIO,
    }
}

fn not_released<T: crate::custody::memory::Lend<Memory = Blocks>>(
    error: &ReleaseError<T, Kernel>,
) -> Error {
    match error {
        ReleaseError::StillHeld(_, status) => {
            pr_err!("bench: release answered {}\n", status);
            EBUSY
        }
        ReleaseError::Settled(_) => EIO,
    }
}

fn done(result: Result) -> c_int {
    result.map_or_else(Error::to_errno, |()| 0)
}

/// A handle from what the C member was given.
///
/// # Safety
///
/// `context` is what was given to `tdx_pages_bench_add`, whose files are there still.
unsafe fn kernel(context: *const c_void) -> Kernel {
    let host = context.cast::<Host>();
    // SAFETY: It is a `Host` in an `Arc` that `Bench` holds; the count goes up for the new handle.
    let host = unsafe {
        let arc = core::mem::ManuallyDrop::new(Arc::from_raw(host));
        Arc::clone(&arc)
    };
    Kernel::from_host(host)
}

/// # Safety
///
/// `context` is what was given to `tdx_pages_bench_add`, whose files are there still.
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_keyid(context: *const c_void) -> u16 {
    // SAFETY: As this function's requirement.
    unsafe { kernel(context) }.seam().keyid()
}

/// # Safety
///
/// As [`tdx_pages_bench_keyid`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_new(context: *const c_void) -> *mut c_void {
    // SAFETY: As this function's requirement.
    let kernel = unsafe { kernel(context) };
    let owner = Owner::new(&kernel.users().ext_pool, Object::Only);
    let work = Work {
        kernel,
        owner,
        iommu_id: 0,
        state: State::Nothing,
    };
    KBox::new(work, GFP_KERNEL).map_or(core::ptr::null_mut(), |work| KBox::into_raw(work).cast())
}

/// # Safety
///
/// `what` is from [`tdx_pages_bench_new`], and is not used again.
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_drop(what: *mut c_void) {
    // SAFETY: As this function's requirement.
    drop(unsafe { KBox::<Work>::from_raw(what.cast()) });
}

#[no_mangle]
extern "C" fn tdx_pages_bench_size() -> usize {
    size_of::<Blocks>().max(size_of::<Held<Blocks, Kernel>>())
}

/// # Safety
///
/// `what` is from [`tdx_pages_bench_new`], and nobody else uses it meanwhile.
unsafe fn work<'a>(what: *mut c_void) -> &'a mut Work {
    // SAFETY: As this function's requirement.
    unsafe { &mut *what.cast() }
}

/// # Safety
///
/// As [`work`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_create(what: *mut c_void, pages: usize) -> c_int {
    // SAFETY: As this function's requirement.
    let work = unsafe { work(what) };
    done(Blocks::new(pages, Node::Any).map(|blocks| work.state = State::Pages(blocks)))
}

/// # Safety
///
/// As [`work`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_create_tables(what: *mut c_void, pages: usize) -> c_int {
    // SAFETY: As this function's requirement.
    let work = unsafe { work(what) };
    done(Tables::new(pages, Node::Any).map(|tables| work.state = State::Tables(tables)))
}

/// # Safety
///
/// As [`work`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_hand_over(what: *mut c_void) -> c_int {
    // SAFETY: As this function's requirement.
    done(unsafe { work(what) }.hand_over())
}

/// # Safety
///
/// As [`work`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_set_up(what: *mut c_void, reg_base: u64) -> c_int {
    // SAFETY: As this function's requirement.
    done(unsafe { work(what) }.set_up(reg_base))
}

/// # Safety
///
/// As [`work`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_hold(what: *mut c_void) -> c_int {
    // SAFETY: As this function's requirement.
    done(unsafe { work(what) }.hold())
}

/// # Safety
///
/// As [`work`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_release(what: *mut c_void) -> c_int {
    // SAFETY: As this function's requirement.
    done(unsafe { work(what) }.release())
}

/// # Safety
///
/// As [`work`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_clear(what: *mut c_void) -> c_int {
    // SAFETY: As this function's requirement.
    done(unsafe { work(what) }.clear())
}

/// # Safety
///
/// As [`work`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_recover(what: *mut c_void) -> c_int {
    // SAFETY: As this function's requirement.
    unsafe { work(what) }.kernel.recover();
    0
}

/// # Safety
///
/// As [`work`].
#[no_mangle]
unsafe extern "C" fn tdx_pages_bench_free(what: *mut c_void) {
    // SAFETY: As this function's requirement.
    drop(unsafe { work(what) }.take());
}

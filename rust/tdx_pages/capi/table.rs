// SPDX-License-Identifier: GPL-2.0

//! Which handle stands for what, and who is calling.
//!
//! A call looks its handle up, counts itself, and works with a reference to the object; no lock is
//! held meanwhile. Who ends an object closes its handle first, waits until no call is under way, and
//! takes the object out then: so nothing of a user runs any more when it has been ended. Calls are
//! counted for the object and for its user, since unregistering waits for all of them.

use super::{
    handle::{
        Handle,
        Kind,
        Misuse, //
    },
    iommu::Unit,
    item::{
        Extent,
        Item,
        Known, //
    },
    user::Registered,
    wrong, //
};
use crate::platform::Kernel;
use kernel::{
    fmt,
    new_condvar,
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        Arc,
        CondVar,
        Mutex, //
    },
    task::Task, //
};

kernel::sync::global_lock! {
    // SAFETY: Initialised by `init`, before anything else.
    unsafe(uninit) static CURRENT: Mutex<Option<Arc<Api>>> = None;
}

/// To be called once, when this kernel module is loaded, before anything else here.
///
/// # Safety
///
/// It is called once, and no other function of this module is called before it returns.
pub(crate) unsafe fn init() {
    // SAFETY: As this function's requirement.
    unsafe { CURRENT.init() };
}

/// Opens the API to other drivers, until it is dropped.
///
/// A registered user holds this kernel module, so nobody has anything in it any more by then.
pub(crate) struct Open(());

impl Open {
    /// Opens it. `ENOMEM`.
    pub(crate) fn new(kernel: &Kernel) -> Result<Self> {
        let api = Arc::pin_init(Api::new(kernel), GFP_KERNEL)?;
        *CURRENT.lock() = Some(api);
        Ok(Self(()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let api = CURRENT.lock().take();
        // Dropped without the lock.
        drop(api);
    }
}

/// Everything that was given out for one attachment.
#[pin_data]
pub(super) struct Api {
    kernel: Kernel,
    /// Held for a moment.
    #[pin]
    pub(super) table: Mutex<Table>,
    /// A call has returned.
    #[pin]
    pub(super) quiet: CondVar,
}

/// Handles, and calls under way.
pub(super) struct Table {
    next: usize,
    /// In order of age.
    pub(super) slots: RBTree<Handle, Slot>,
    // The tasks that are in a transfer for the TDX Module now.
    transfers: KVec<usize>,
}

/// One object.
pub(super) struct Slot {
    /// Of itself, for a user.
    pub(super) user: Handle,
    /// What it is.
    pub(super) item: Item,
    // Under way.
    calls: usize,
    /// Somebody ends it: no call begins any more.
    pub(super) closed: bool,
}

impl Table {
    /// Fails if the task that calls is in a transfer and `kind` would wait for that.
    pub(super) fn may_wait(&self, kind: Kind) -> Result<(), Misuse> {
        let waits = matches!(kind, Kind::Session | Kind::Stream);
        if waits && self.transfers.contains(&task()) {
            return Err(Misuse::InTransfer);
        }
        Ok(())
    }

    /// The slot of a handle that is not closed, and whose user's is not.
    pub(super) fn open(&mut self, handle: Handle) -> Result<&mut Slot, Misuse> {
        let ended = Misuse::Ended(handle);
        let user = match self.slots.get(&handle) {
            Some(slot) if !slot.closed => slot.user,
            None if handle.serial() >= self.next => return Err(Misuse::NoHandle(handle.raw())),
            _ => return Err(ended),
        };
        if self.slots.get(&user).is_none_or(|user| user.closed) {
            return Err(ended);
        }
        self.slots.get_mut(&handle).ok_or(ended)
    }

    /// Counts a call that begins (`true`) or has returned.
    pub(super) fn count(&mut self, handle: Handle, begins: bool) {
        if let Some(slot) = self.slots.get_mut(&handle) {
            slot.calls = match begins {
                true => slot.calls.saturating_add(1),
                false => slot.calls.saturating_sub(1),
            };
        }
    }

    /// Whether calls are under way.
    pub(super) fn is_busy(&self, handle: Handle) -> bool {
        self.slots.get(&handle).is_some_and(|slot| slot.calls > 0)
    }
}

/// The task that calls.
fn task() -> usize {
    Task::current_raw().addr()
}

impl Api {
    fn new(kernel: &Kernel) -> impl PinInit<Self> {
        let kernel = kernel.clone();
        pin_init!(Self {
            kernel,
            table <- new_mutex!(Table {
                next: 1,
                slots: RBTree::new(),
                transfers: KVec::new(),
            }),
            quiet <- new_condvar!(),
        })
    }

    /// The one that is open. `ENODEV`.
    pub(super) fn current(function: &str) -> Result<Arc<Self>> {
        let current = CURRENT.lock().clone();
        current.ok_or_else(|| wrong(function, fmt!("tdx_pages is not ready"), ENODEV))
    }

    /// The kernel's side of everything.
    pub(super) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Makes room for an object, so that there is a place for it when it is made. `ENOMEM`.
    pub(super) fn place(self: &Arc<Self>) -> Result<Place> {
        Ok(Place {
            api: self.clone(),
            node: RBTreeNodeReservation::new(GFP_KERNEL)?,
        })
    }

    /// Begins a call with the object of a handle.
    pub(super) fn call<T: Known, H>(function: &str, handle: *mut H) -> Result<Call<T>> {
        let told = |misuse: Misuse| wrong(function, fmt!("{misuse}"), misuse.error());
        let handle = Misuse::look(handle.addr(), T::KIND).map_err(told)?;
        let api = Self::current(function)?;
        let begun = api.begin::<T>(handle).map_err(told)?;
        let (user, object) = begun;
        Ok(Call {
            api,
            handle,
            user,
            object: Some(object),
        })
    }

    fn begin<T: Known>(&self, handle: Handle) -> Result<(Handle, Arc<T>), Misuse> {
        let mut table = self.table.lock();
        table.may_wait(T::KIND)?;
        let slot = table.open(handle)?;
        let user = slot.user;
        let object = T::of(&slot.item).ok_or(Misuse::OtherKind(handle))?.clone();
        table.count(handle, true);
        if user != handle {
            table.count(user, true);
        }
        Ok((user, object))
    }

    /// A call has returned.
    pub(super) fn finish(&self, handle: Handle, user: Handle) {
        let mut table = self.table.lock();
        table.count(handle, false);
        if user != handle {
            table.count(user, false);
        }
        drop(table);
        self.quiet.notify_all();
    }

    /// The IOMMUs that are set up, by whichever user: which of them serves a device is not known here.
    /// `ENOMEM`.
    pub(super) fn units(&self) -> Result<KVec<Arc<Unit>>> {
        let mut units = KVec::new();
        for slot in self.table.lock().slots.values() {
            if let Item::Iommu(unit) = &slot.item {
                units.push(unit.clone(), GFP_KERNEL)?;
            }
        }
        Ok(units)
    }

    /// Fails if the calling task is in a transfer, for which it would wait.
    pub(super) fn may_talk(&self, function: &str) -> Result {
        let may = self.table.lock().may_wait(Kind::Session);
        may.map_err(|misuse| wrong(function, fmt!("{misuse}"), misuse.error()))
    }

    /// The calling task is in a transfer until the value is dropped. `ENOMEM`.
    pub(super) fn transfer(&self) -> Result<Transfer<'_>> {
        let task = task();
        self.table.lock().transfers.push(task, GFP_KERNEL)?;
        Ok(Transfer { api: self, task })
    }
}

/// See [`Api::transfer`].
pub(super) struct Transfer<'a> {
    api: &'a Api,
    task: usize,
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        let mut table = self.api.table.lock();
        table.transfers.retain(|task| *task != self.task);
    }
}

/// Room for an object that is about to be made.
pub(super) struct Place {
    api: Arc<Api>,
    node: RBTreeNodeReservation<Handle, Slot>,
}

impl Place {
    /// Puts a user there. `ENOSPC` when all numbers are used up.
    pub(super) fn register(self, user: Arc<Registered>) -> Result<Handle> {
        self.fill(None, user)
    }

    /// Puts an object of a user there: that of a call which is under way.
    pub(super) fn put<T: Known, U>(self, call: &Call<U>, object: Arc<T>) -> Result<Handle> {
        self.fill(Some(call.user), object)
    }

    fn fill<T: Known>(self, user: Option<Handle>, object: Arc<T>) -> Result<Handle> {
        let mut table = self.api.table.lock();
        let handle = Handle::new(table.next, T::KIND).ok_or(ENOSPC)?;
        table.next += 1;
        let slot = Slot {
            user: user.unwrap_or(handle),
            item: T::item(object),
            calls: 0,
            closed: false,
        };
        table.slots.insert(self.node.into_node(handle, slot));
        Ok(handle)
    }
}

/// A call under way, with the object that it is for.
pub(super) struct Call<T> {
    api: Arc<Api>,
    handle: Handle,
    user: Handle,
    // `None` when it has returned.
    object: Option<Arc<T>>,
}

impl<T> Call<T> {
    /// What it belongs to.
    pub(super) fn api(&self) -> &Arc<Api> {
        &self.api
    }

    /// The object's number, for messages.
    pub(super) fn handle(&self) -> Handle {
        self.handle
    }

    /// The object.
    pub(super) fn object(&self) -> Result<&Arc<T>> {
        self.object.as_ref().ok_or(EINVAL)
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        // First: who waits for this call to return drops the last reference.
        self.object = None;
        self.api.finish(self.handle, self.user);
    }
}

/// What is shown of an object.
pub(crate) struct Shown<'a> {
    /// Its user's name.
    pub(crate) user: &'a str,
    /// Kind and number.
    pub(crate) object: &'a dyn fmt::Display,
    /// What it is with.
    pub(crate) with: &'a dyn fmt::Display,
    /// Its memory.
    pub(crate) extent: Extent,
}

/// Calls `f` for each object that a driver has, one after the other.
pub(crate) fn for_each(mut f: impl FnMut(Shown<'_>)) {
    let Some(api) = CURRENT.lock().clone() else {
        return;
    };
    let table = api.table.lock();
    for (handle, slot) in table.slots.iter() {
        let user = table.slots.get(&slot.user).map(|user| &user.item);
        if let (Some(extent), Some(Item::User(user))) = (slot.item.extent(), user) {
            f(Shown {
                user: user.name(),
                object: handle,
                with: &slot.item,
                extent,
            });
        }
    }
}

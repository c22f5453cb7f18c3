// SPDX-License-Identifier: GPL-2.0

//! Which handle stands for what, and who is calling.
//!
//! A call looks its handle up, counts itself, and works with a reference to the object; no lock is
//! held meanwhile. Who ends an object closes its handle first, waits until no call is under way, and
//! takes the object out then: so nothing of a user runs any more when it has been ended. Calls are
//! counted for the object and for its user, since unregistering waits for all of them.

use super::{
    array::Array,
    handle::{
        Handle,
        Kind,
        Misuse, //
    },
    iommu::Unit,
    session::Doe,
    user::Registered,
    wrong, //
};
use crate::platform::Kernel;
use crate::users::{
    registry::Function,
    session::Session,
    stream::Stream, //
};
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
    #[pin]
    table: Mutex<Table>,
    // A call has returned.
    #[pin]
    quiet: CondVar,
}

struct Table {
    next: usize,
    slots: RBTree<Handle, Slot>,
    // The tasks that are in a transfer for the TDX Module now.
    transfers: KVec<usize>,
}

struct Slot {
    // Of itself, for a user.
    user: Handle,
    item: Item,
    // Under way.
    calls: usize,
    // Somebody ends it: no call begins any more.
    closed: bool,
}

/// What a handle stands for.
pub(super) enum Item {
    User(Arc<Registered>),
    Array(Arc<Array>),
    Iommu(Arc<Unit>),
    Session(Arc<Session<Doe>>),
    Stream(Arc<Stream<Doe>>),
}

/// An object that can have a handle.
pub(super) trait Known: Sized {
    /// Its kind.
    const KIND: Kind;
    /// As an item.
    fn item(object: Arc<Self>) -> Item;
    /// From an item.
    fn of(item: &Item) -> Option<&Arc<Self>>;
}

macro_rules! known {
    ($($kind:ident: $type:ty),+ $(,)?) => {
        $(
            impl Known for $type {
                const KIND: Kind = Kind::$kind;

                fn item(object: Arc<Self>) -> Item {
                    Item::$kind(object)
                }

                fn of(item: &Item) -> Option<&Arc<Self>> {
                    match item {
                        Item::$kind(object) => Some(object),
                        _ => None,
                    }
                }
            }
        )+
    };
}

known! {
    User: Registered,
    Array: Array,
    Iommu: Unit,
    Session: Session<Doe>,
    Stream: Stream<Doe>,
}

/// Pages of an object, and the NUMA node of the first one.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// The number of pages.
    pub(crate) pages: usize,
    /// The node.
    pub(crate) node: Option<i32>,
}

impl Item {
    /// Takes no lock. [`None`] for a user.
    fn extent(&self) -> Option<Extent> {
        let (pages, node) = match self {
            Self::User(_) => return None,
            Self::Array(array) => (array.pages(), array.node()),
            Self::Iommu(unit) => (unit.iommu().pages(), unit.iommu().node()),
            Self::Session(session) => (session.pages(), session.node()),
            Self::Stream(stream) => (stream.pages(), stream.node()),
        };
        Some(Extent { pages, node })
    }
}

impl fmt::Display for Item {
    /// What it is with, as a person would look for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(registered) => f.write_str(registered.name()),
            Self::Array(array) => write!(f, "{} pages", array.pages()),
            Self::Iommu(unit) => write!(f, "{:#x}", unit.reg_base()),
            Self::Session(session) => Function::from(session.function()).fmt(f),
            Self::Stream(stream) => write!(f, "IDE stream {:#x}", stream.ide_id()),
        }
    }
}

impl Table {
    /// Fails if the task that calls is in a transfer and `kind` would wait for that.
    fn may_wait(&self, kind: Kind) -> Result<(), Misuse> {
        let waits = matches!(kind, Kind::Session | Kind::Stream);
        if waits && self.transfers.contains(&task()) {
            return Err(Misuse::InTransfer);
        }
        Ok(())
    }

    /// The slot of a handle that is not closed, and whose user's is not.
    fn open(&mut self, handle: Handle) -> Result<&mut Slot, Misuse> {
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
    fn count(&mut self, handle: Handle, begins: bool) {
        if let Some(slot) = self.slots.get_mut(&handle) {
            slot.calls = match begins {
                true => slot.calls.saturating_add(1),
                false => slot.calls.saturating_sub(1),
            };
        }
    }

    fn is_busy(&self, handle: Handle) -> bool {
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

    fn finish(&self, handle: Handle, user: Handle) {
        let mut table = self.table.lock();
        table.count(handle, false);
        if user != handle {
            table.count(user, false);
        }
        drop(table);
        self.quiet.notify_all();
    }

    /// Ends an object, whatever state it is in. NULL and error pointers are nothing to end.
    pub(super) fn end<T: Known, H>(function: &str, handle: *mut H) {
        let Some(handle) = Self::to_end::<T, H>(function, handle) else {
            return;
        };
        let Ok(api) = Self::current(function) else {
            return;
        };
        match api.take(handle) {
            Ok((user, item)) => {
                // This is what takes its time; no lock is held.
                drop(item);
                api.finish(handle, user);
            }
            Err(misuse) => api.tell_end(function, misuse),
        }
    }

    fn to_end<T: Known, H>(function: &str, handle: *mut H) -> Option<Handle> {
        match Misuse::look(handle.addr(), T::KIND) {
            Ok(handle) => Some(handle),
            Err(Misuse::Null | Misuse::ErrorPointer(_)) => None,
            Err(misuse) => {
                let _ = wrong(function, fmt!("{misuse}"), misuse.error());
                None
            }
        }
    }

    fn tell_end(&self, function: &str, misuse: Misuse) {
        let _ = match misuse {
            Misuse::Ended(handle) => wrong(function, fmt!("{handle}: ended twice"), EINVAL),
            _ => wrong(function, fmt!("{misuse}"), misuse.error()),
        };
    }

    /// Closes a handle, waits for the calls under way, and takes the object out. It counts as a call
    /// on the user still, until [`Self::finish`].
    fn take(&self, handle: Handle) -> Result<(Handle, Item), Misuse> {
        let mut table = self.table.lock();
        table.may_wait(handle.kind())?;
        let slot = table.open(handle)?;
        slot.closed = true;
        let user = slot.user;
        table.count(user, true);
        while table.is_busy(handle) {
            self.quiet.wait(&mut table);
        }
        let slot = table.slots.remove_node(&handle);
        drop(table);
        let (_, slot) = slot.ok_or(Misuse::Ended(handle))?.to_key_value();
        Ok((user, slot.item))
    }

    /// Ends a registration, and what its user has forgotten.
    pub(super) fn end_user<H>(function: &str, handle: *mut H) {
        let Some(handle) = Self::to_end::<Registered, H>(function, handle) else {
            return;
        };
        let Ok(api) = Self::current(function) else {
            return;
        };
        if let Err(misuse) = api.close_user(handle) {
            api.tell_end(function, misuse);
            return;
        }
        for kind in Kind::OBJECTS {
            let mut from = handle;
            while let Some((object, item)) = api.forgotten(handle, kind, from) {
                if super::may_tell() {
                    pr_warn!(
                        "{}: {} ({}) was forgotten: ended with its user\n",
                        api.name(handle),
                        object,
                        item
                    );
                }
                drop(item);
                from = object.above();
            }
        }
        let slot = api.table.lock().slots.remove_node(&handle);
        // The last thing: it lets go of this kernel module.
        drop(slot);
    }

    /// Closes a user's handle, and waits for all calls on its objects.
    fn close_user(&self, handle: Handle) -> Result<(), Misuse> {
        let mut table = self.table.lock();
        // One of the transfers may be the user's.
        table.may_wait(Kind::Session)?;
        table.open(handle)?.closed = true;
        while table.is_busy(handle) {
            self.quiet.wait(&mut table);
        }
        Ok(())
    }

    /// Takes out the first object of a kind, from a handle on, that a user left behind.
    fn forgotten(&self, user: Handle, kind: Kind, from: Handle) -> Option<(Handle, Item)> {
        let mut table = self.table.lock();
        let mut cursor = table.slots.cursor_lower_bound_mut(&from);
        let mut found = None;
        while let Some(at) = cursor {
            let (handle, slot) = at.current();
            if slot.user == user && handle.kind() == kind {
                found = Some(*handle);
                break;
            }
            cursor = at.move_next();
        }
        let (handle, slot) = table.slots.remove_node(&found?)?.to_key_value();
        Some((handle, slot.item))
    }

    /// The name of a user, to be printed.
    fn name(&self, user: Handle) -> Name {
        let table = self.table.lock();
        let found = table.slots.get(&user).and_then(|slot| match &slot.item {
            Item::User(registered) => Some(registered.clone()),
            _ => None,
        });
        Name(found)
    }

    /// The IOMMUs that a user has set up. `ENOMEM`.
    pub(super) fn units(&self, user: Handle) -> Result<KVec<Arc<Unit>>> {
        let mut units = KVec::new();
        for slot in self.table.lock().slots.values() {
            match &slot.item {
                Item::Iommu(unit) if slot.user == user => units.push(unit.clone(), GFP_KERNEL)?,
                _ => {}
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

struct Name(Option<Arc<Registered>>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("?", |user| user.name()))
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

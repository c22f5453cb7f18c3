/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Host memory for Intel TDX Connect: the API for drivers.
 *
 * A driver registers as a user and makes objects under its registration: arrays
 * of host pages, IOMMUs in TDX mode, SPDM sessions, and IDE streams under a
 * session.  An object owns its memory.  One function ends it, whatever state it
 * is in: what the TDX Module holds is released and proved first, and a page
 * that is not proved stays on record, under the driver's name, and is never
 * freed.
 *
 * What is given out is a handle, not an address.  It is looked up by every call,
 * so that NULL, an error pointer, a handle of another kind and one that was
 * ended are found out: the call fails with -EINVAL (or ERR_PTR(-EINVAL)), says so
 * in one line that names the object, and changes nothing.  A handle is never
 * used again.  To dereference one is a general protection fault.
 *
 * All functions may sleep, and may be called from several tasks at a time.  None
 * may be called in atomic context.  All failures are told in one line of the
 * kernel log.
 */
#ifndef LINUX_TDX_PAGES_H
#define LINUX_TDX_PAGES_H

#include <linux/types.h>

struct tdx_pages_user;
struct tdx_page_array;
struct tdx_iommu;
struct tdx_spdm_session;
struct tdx_ide_stream;

/**
 * struct tdx_pages_balance - the pages of one user, counted
 * @handed_over: pages that the TDX Module ever took
 * @released: pages of these that came back, proved
 * @held: pages that it has now, to be released
 * @quarantined: pages that should be back and are not proved
 * @lost: pages that were given up
 *
 * handed_over = released + held + quarantined + lost, but for a moment while one
 * of them is counted.  Arrays of host pages are not in it: the TDX Module does
 * not have them.
 */
struct tdx_pages_balance {
	u64 handed_over;
	u64 released;
	u64 held;
	u64 quarantined;
	u64 lost;
};

/**
 * tdx_pages_register() - register as a user
 * @name: 1 to 32 visible ASCII characters without a blank; copied.  Messages and
 *	  debugfs show it
 *
 * While a user is registered tdx_pages.ko cannot be unloaded.
 *
 * Context: process context, may sleep.
 * Return: the user, to be given to tdx_pages_unregister() in the end; or
 *	   ERR_PTR(): -EINVAL for a name that cannot be, -EEXIST for one that
 *	   another user has, -ENODEV if tdx_pages.ko is not ready or is going,
 *	   -ENOMEM.
 */
struct tdx_pages_user *tdx_pages_register(const char *name);

/**
 * tdx_pages_unregister() - end a registration
 * @user: the user; NULL and error pointers are ignored
 *
 * Waits for calls of other tasks on the user's objects to return.  An object
 * that was forgotten is ended, streams first, each with a warning that names it.
 * When this returns, no callback of the user runs, and none ever will.  Pages in
 * quarantine stay there under its name.
 *
 * Context: process context, may sleep; not in tdx_doe_ops.transfer().
 */
void tdx_pages_unregister(struct tdx_pages_user *user);

/**
 * tdx_pages_user_balance() - count a user's pages
 * @user: the user
 * @balance: where the numbers go
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL, and then *@balance is untouched.
 */
int tdx_pages_user_balance(struct tdx_pages_user *user,
			   struct tdx_pages_balance *balance);

/**
 * tdx_page_array_create() - allocate an array of host pages
 * @user: who owns it
 * @nr_pages: 4 KiB pages, from 1 to half of the memory that is available
 * @nid: NUMA node, or NUMA_NO_NODE.  Where it has no memory, or there is no such
 *	 node, another one serves
 *
 * Memory comes in physically contiguous blocks of up to 2 MiB.  It is not zeroed.
 *
 * Context: process context, may sleep.
 * Return: the array, to be given to tdx_page_array_end() in the end; or ERR_PTR():
 *	   -EINVAL, -ENOMEM.
 */
struct tdx_page_array *tdx_page_array_create(struct tdx_pages_user *user,
					     size_t nr_pages, int nid);

/**
 * tdx_page_array_nr_pages() - number of pages
 * @array: the array
 *
 * Context: process context, may sleep.
 * Return: 4 KiB pages; 0 if this is no array.
 */
size_t tdx_page_array_nr_pages(struct tdx_page_array *array);

/**
 * tdx_page_array_nid() - where the memory is
 * @array: the array
 *
 * Context: process context, may sleep.
 * Return: the NUMA node of its first page; -EINVAL.
 */
int tdx_page_array_nid(struct tdx_page_array *array);

/**
 * tdx_page_array_read() - copy bytes out
 * @array: the array
 * @offset: the first byte in it
 * @to: room for @len bytes
 * @len: how many; 0 is none
 *
 * Pages are in order, as tdx_page_array_vmap() would show them.
 *
 * Context: process context, may sleep.
 * Return: 0; -ERANGE if the bytes are not all in the array, -EINVAL.
 */
int tdx_page_array_read(struct tdx_page_array *array, size_t offset, void *to,
			size_t len);

/**
 * tdx_page_array_write() - copy bytes in
 * @array: the array
 * @offset: the first byte in it
 * @from: @len bytes
 * @len: how many; 0 is none
 *
 * Context: process context, may sleep.
 * Return: 0; -ERANGE if the bytes do not all fit in the array, -EINVAL.
 */
int tdx_page_array_write(struct tdx_page_array *array, size_t offset,
			 const void *from, size_t len);

/**
 * tdx_page_array_vmap() - map all pages in one piece
 * @array: the array
 *
 * The mapping is good until tdx_page_array_vunmap() or tdx_page_array_end().
 * Reading and writing go on besides.
 *
 * Context: process context, may sleep.
 * Return: the address of the first byte; or ERR_PTR(): -EBUSY if it is mapped
 *	   already, -ENOMEM, -EINVAL.
 */
void *tdx_page_array_vmap(struct tdx_page_array *array);

/**
 * tdx_page_array_vunmap() - end the mapping
 * @array: the array
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL if it is not mapped, or this is no array.
 */
int tdx_page_array_vunmap(struct tdx_page_array *array);

/**
 * tdx_page_array_end() - unmap and free an array
 * @array: the array; NULL and error pointers are ignored
 *
 * Waits for calls of other tasks on it to return.
 *
 * Context: process context, may sleep.
 */
void tdx_page_array_end(struct tdx_page_array *array);

/**
 * tdx_iommu_setup() - put an IOMMU in TDX mode
 * @user: who owns it
 * @reg_base: the register base of the remapping unit, as in the ACPI DMAR table
 * @nid: NUMA node for its memory, or NUMA_NO_NODE; as tdx_page_array_create()
 *
 * Allocates an IOMMU_MT and hands it over.  The units that tdx_pages.ko has set
 * up by itself cannot be set up again.
 *
 * Context: process context, may sleep.
 * Return: the IOMMU, to be given to tdx_iommu_end() in the end; or ERR_PTR():
 *	   -EOPNOTSUPP if the TDX Module says that the unit is not capable, -EBUSY
 *	   if it is set up already; -EIO, -ENOMEM, -EINVAL.
 */
struct tdx_iommu *tdx_iommu_setup(struct tdx_pages_user *user, u64 reg_base, int nid);

/**
 * tdx_iommu_id() - what the TDX Module calls an IOMMU
 * @iommu: the IOMMU
 * @id: where the id goes; any number may be one, 0 too
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL, and then *@id is untouched.
 */
int tdx_iommu_id(struct tdx_iommu *iommu, u64 *id);

/**
 * tdx_iommu_end() - take an IOMMU out of TDX mode and free its memory
 * @iommu: the IOMMU; NULL and error pointers are ignored
 *
 * An IOMMU may not go before the sessions with devices behind it.  Which these are
 * is not known here, so it goes with the last session that anybody has made
 * while it was up.
 *
 * Context: process context, may sleep.
 */
void tdx_iommu_end(struct tdx_iommu *iommu);

/**
 * struct tdx_doe_ops - the way to a device
 */
struct tdx_doe_ops {
	/**
	 * @transfer: sends a message and waits for what the device says to it.
	 *
	 * Both are without the DOE header and of whole dwords; at most 4088 bytes.
	 * @data is what the session was made with, @vendor and @type are those of
	 * the header.  It returns the length of the response, or an errno, which
	 * ends the exchange.  It may sleep and must not wait for ever: other
	 * exchanges wait meanwhile.  It may be called from any task, one call at a
	 * time for a session, until tdx_spdm_session_end() and the end of every
	 * stream of the session have returned.  In it no function of sessions and
	 * streams may be called, nor tdx_pages_unregister(): -EDEADLK, and an end
	 * does not happen.
	 */
	ssize_t (*transfer)(void *data, u16 vendor, u8 type,
			    const void *request, size_t request_len,
			    void *response, size_t response_len);
};

/* struct tdx_spdm_session_params.flags: the fields behind it are given. */
#define TDX_SPDM_CONFIG			0x1

/* struct tdx_spdm_session_params.capabilities */
#define TDX_SPDM_CAP_HEARTBEAT		0x2000
#define TDX_SPDM_CAP_KEY_UPDATE		0x4000

/**
 * struct tdx_spdm_session_params - what a session is to be like
 * @segment: PCI segment of the function, 0 to 255
 * @rid: its requester id: bus in 15:8, device in 7:3, function in 2:0
 * @nid: NUMA node for the session's memory, or NUMA_NO_NODE; best that of the
 *	 device
 * @ops: the way to the device; copied
 * @data: for @ops
 * @flags: 0, or TDX_SPDM_CONFIG if the fields that follow are given.  They are key
 *	   update, policy 0, any certificate slot, and no raw bitstreams else
 * @capabilities: TDX_SPDM_CAP_HEARTBEAT and TDX_SPDM_CAP_KEY_UPDATE
 * @session_policy: the session policy of SPDM
 * @certificate_slots: a bit for each certificate slot that may be used
 * @raw_bitstream: not 0 to ask for raw bitstreams of measurements
 */
struct tdx_spdm_session_params {
	u16 segment;
	u16 rid;
	int nid;
	const struct tdx_doe_ops *ops;
	void *data;
	u32 flags;
	u32 capabilities;
	u8 session_policy;
	u8 certificate_slots;
	u8 raw_bitstream;
};

/**
 * tdx_spdm_session_create() - make an SPDM session with a function
 * @user: who owns it
 * @params: what it is to be like; copied
 *
 * Allocates the session's control pages and hands them over.  Nothing is said to
 * the device yet.
 *
 * Context: process context, may sleep.
 * Return: the session, to be given to tdx_spdm_session_end() in the end; or
 *	   ERR_PTR(): -EEXIST if the TDX Module has a session with the function,
 *	   -ENODEV if no IOMMU in TDX mode serves it, -EBUSY, -EIO, -ENOMEM,
 *	   -ESHUTDOWN, -EINVAL; -EDEADLK in tdx_doe_ops.transfer().
 */
struct tdx_spdm_session *
tdx_spdm_session_create(struct tdx_pages_user *user,
			const struct tdx_spdm_session_params *params);

/**
 * tdx_spdm_session_connect() - connect to the device
 * @session: the session; once only
 *
 * A failure that is not -EISCONN or -EINVAL may be tried again.  If the device
 * did not answer, its message is sent again then.
 *
 * Context: process context, may sleep; calls tdx_doe_ops.transfer().
 * Return: the length of the device info in bytes, see
 *	   tdx_spdm_session_device_info(); -EISCONN if it is connected, or was; -EBUSY
 *	   if the TDX Module is busy, perhaps with another session; -EPROTO for an
 *	   exchange that cannot be, -EIO, -ENOMEM, -ESHUTDOWN, -EINVAL, -EDEADLK; what
 *	   transfer() returned.
 */
ssize_t tdx_spdm_session_connect(struct tdx_spdm_session *session);

/**
 * tdx_spdm_session_device_info() - copy device info out
 * @session: the session, connected once
 * @offset: the first byte of the device info
 * @to: room for @len bytes
 * @len: how many at most
 *
 * The device info is that of the last tdx_spdm_session_connect() or
 * TDX_SPDM_DEVICE_INFO.
 *
 * Context: process context, may sleep.
 * Return: bytes copied, 0 behind the end; -EINVAL if it was never connected;
 *	   -EDEADLK.
 */
ssize_t tdx_spdm_session_device_info(struct tdx_spdm_session *session,
				     size_t offset, void *to, size_t len);

/**
 * enum tdx_spdm_operation - what can be done with a session that is connected
 * @TDX_SPDM_HEARTBEAT: show the device that the session is alive
 * @TDX_SPDM_KEY_UPDATE: change the session's key
 * @TDX_SPDM_DEVICE_INFO: ask for the device info once more
 */
enum tdx_spdm_operation {
	TDX_SPDM_HEARTBEAT = 0,
	TDX_SPDM_KEY_UPDATE = 1,
	TDX_SPDM_DEVICE_INFO = 2,
};

/**
 * tdx_spdm_session_manage() - do something with a session that is connected
 * @session: the session
 * @operation: what to do
 *
 * Context: process context, may sleep; calls tdx_doe_ops.transfer().
 * Return: 0; -EINVAL if it is not connected, or for another operation; those of
 *	   tdx_spdm_session_connect().
 */
int tdx_spdm_session_manage(struct tdx_spdm_session *session,
			    enum tdx_spdm_operation operation);

/**
 * tdx_spdm_session_disconnect() - disconnect from the device
 * @session: the session
 *
 * There is no need to: tdx_spdm_session_end() does it.  It tells whether it
 * worked: if not it may be tried again.  Afterwards the session can only be ended.
 *
 * Context: process context, may sleep; calls tdx_doe_ops.transfer().
 * Return: 0; -EINVAL if it is not connected; -EBUSY while it has streams, which
 *	   are ended first; those of tdx_spdm_session_connect().
 */
int tdx_spdm_session_disconnect(struct tdx_spdm_session *session);

/**
 * tdx_spdm_session_id() - what the TDX Module calls a session
 * @session: the session
 * @id: where the id goes; any number may be one, 0 too
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL, -EDEADLK, and then *@id is untouched.
 */
int tdx_spdm_session_id(struct tdx_spdm_session *session, u64 *id);

/**
 * tdx_spdm_session_end() - end a session and free its memory
 * @session: the session; NULL and error pointers are ignored
 *
 * Waits for calls of other tasks on it to return.  Disconnects, if that is due,
 * and gets the control pages back.  A session with streams goes with the last one
 * of them.
 *
 * Context: process context, may sleep; calls tdx_doe_ops.transfer(), and may not
 * be called in it.
 */
void tdx_spdm_session_end(struct tdx_spdm_session *session);

/* struct tdx_ide_stream_params.flags: with plaintext CRC. */
#define TDX_IDE_PCRC			0x1

/**
 * struct tdx_ide_stream_params - what a stream is to be like
 * @nid: NUMA node for its memory, or NUMA_NO_NODE; best that of the root port
 * @flags: 0 or TDX_IDE_PCRC
 * @root_port: device (7:3) and function (2:0) of the root port
 * @traffic_class: 0 to 7
 * @segment: PCI segment of the requester ids, 0 to 255
 * @rid_base: the first requester id that belongs to the stream
 * @rid_limit: the last one
 * @addr_base: the first address that belongs to it, a multiple of 1 MiB
 * @addr_limit: the last one, one byte below a multiple of 1 MiB
 */
struct tdx_ide_stream_params {
	int nid;
	u32 flags;
	u8 root_port;
	u8 traffic_class;
	u16 segment;
	u16 rid_base;
	u16 rid_limit;
	u64 addr_base;
	u64 addr_limit;
};

/**
 * tdx_ide_stream_create() - make a selective IDE stream
 * @session: a session that is connected
 * @params: what the stream is to be like; copied
 *
 * Allocates the stream's control pages and hands them over.  The root port is
 * programmed and not enabled.  The stream belongs to the session's user, and
 * keeps the session: that goes after its last stream.
 *
 * Context: process context, may sleep.
 * Return: the stream, to be given to tdx_ide_stream_end() in the end; or ERR_PTR():
 *	   -EINVAL if the session is not connected or a parameter is out of range,
 *	   -EBUSY, -EIO, -ENOMEM, -ESHUTDOWN, -EDEADLK.
 */
struct tdx_ide_stream *
tdx_ide_stream_create(struct tdx_spdm_session *session,
		      const struct tdx_ide_stream_params *params);

/**
 * tdx_ide_stream_set_up_keys() - program keys at both ends, enable the root port
 * @stream: the stream; once only
 *
 * Context: process context, may sleep; calls tdx_doe_ops.transfer().
 * Return: 0; -EINVAL if that was done before, or the session is not connected any
 *	   more; those of tdx_spdm_session_connect().
 */
int tdx_ide_stream_set_up_keys(struct tdx_ide_stream *stream);

/**
 * tdx_ide_stream_refresh_keys() - change the keys
 * @stream: the stream, with its keys set up
 *
 * Context: process context, may sleep; calls tdx_doe_ops.transfer().
 * Return: as tdx_ide_stream_set_up_keys().
 */
int tdx_ide_stream_refresh_keys(struct tdx_ide_stream *stream);

/**
 * tdx_ide_stream_stop_keys() - stop the stream
 * @stream: the stream, with its keys set up
 *
 * There is no need to: tdx_ide_stream_end() does it.  The stream can only be ended
 * then.
 *
 * Context: process context, may sleep; calls tdx_doe_ops.transfer().
 * Return: as tdx_ide_stream_set_up_keys().
 */
int tdx_ide_stream_stop_keys(struct tdx_ide_stream *stream);

/**
 * tdx_ide_stream_id() - what a stream is called
 * @stream: the stream
 * @id: where the TDX Module's id goes, or NULL; any number may be one
 * @ide_id: where the IDE stream id at the root port goes, or NULL
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL, -EDEADLK, and then nothing is written.
 */
int tdx_ide_stream_id(struct tdx_ide_stream *stream, u64 *id, u64 *ide_id);

/**
 * tdx_ide_stream_end() - end a stream and free its memory
 * @stream: the stream; NULL and error pointers are ignored
 *
 * Waits for calls of other tasks on it to return.  Stops the keys, if that is due,
 * blocks the stream, and gets the control pages back.
 *
 * Context: process context, may sleep; calls tdx_doe_ops.transfer(), and may not
 * be called in it.
 */
void tdx_ide_stream_end(struct tdx_ide_stream *stream);

#endif /* LINUX_TDX_PAGES_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * A driver without a device that uses every function of <linux/tdx_pages.h>, well
 * and badly.
 *
 * Parameter scenario= chooses what is done at load.  Each step is a line in the
 * kernel log, "sample: ok NAME" or "sample: not ok NAME: why".
 *
 * life	all objects, from their making to their end, in order
 * leak	all objects, of which none is ended: unregistering does it
 * twice	each object is ended twice
 * after	each function is called on an object that was ended
 * null	each function is given NULL
 * error	each function is given an error pointer
 * number	each function is given numbers that never were handles
 * bad	wrong names, other kinds of objects, arguments out of range
 * race	tasks use objects and make new ones while their user unregisters
 * hold	an array and an IOMMU are kept until this module is unloaded
 *
 * The fake device speaks no SPDM: it answers a message by the same bytes, each
 * complemented, which is what the software TDX Module of tdx_emu.ko wants to
 * hear.  It is for that one only.
 */
#define pr_fmt(fmt) "sample: " fmt

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/string.h>

#include <linux/tdx_pages.h>

static char *scenario = "life";
module_param(scenario, charp, 0);
MODULE_PARM_DESC(scenario, "What to do: life, leak, twice, after, null, error, number, bad, race, hold");

static ulong iommu_base = 0xfed90000;
module_param(iommu_base, ulong, 0);
MODULE_PARM_DESC(iommu_base, "Register base of an IOMMU that is not set up yet");

/* Everything that a driver can have. */
struct sample {
	struct tdx_pages_user *user;
	struct tdx_page_array *array;
	struct tdx_iommu *iommu;
	struct tdx_spdm_session *session;
	struct tdx_ide_stream *stream;
	/* Messages that the fake device has answered. */
	unsigned int messages;
	/* The device is to do in a message what must not be done there. */
	bool call_back;
	/* It takes its time, so that there are always calls under way. */
	bool slow;
	/* Its driver has unregistered. */
	bool gone;
};

static struct sample sample;

/* Tasks of a race, and one completion for each. */
#define RACERS 4
static DECLARE_COMPLETION(race_done);

static void expect(const char *name, long wanted, long got)
{
	if (got == wanted)
		pr_info("ok %s\n", name);
	else
		pr_err("not ok %s: %ld, not %ld\n", name, got, wanted);
}

/* A pointer is good, or is this error. */
static void expect_ptr(const char *name, long wanted, const void *got)
{
	expect(name, wanted, got ? PTR_ERR_OR_ZERO(got) : -ENOENT);
}

static void call_back(struct sample *s)
{
	u64 id;

	expect("transfer: id", -EDEADLK, tdx_spdm_session_id(s->session, &id));
	expect("transfer: heartbeat", -EDEADLK,
	       tdx_spdm_session_manage(s->session, TDX_SPDM_HEARTBEAT));
	tdx_spdm_session_end(s->session);
	tdx_pages_unregister(s->user);
	expect("transfer: nr_pages", 3, tdx_page_array_nr_pages(s->array));
}

static ssize_t fake_transfer(void *data, u16 vendor, u8 type, const void *request,
			     size_t request_len, void *response, size_t response_len)
{
	const u8 *from = request;
	struct sample *s = data;
	u8 *to = response;
	size_t i;

	if (request_len > response_len)
		return -EMSGSIZE;
	for (i = 0; i < request_len; i++)
		to[i] = ~from[i];
	s->messages++;
	if (s->slow)
		msleep(20);
	if (READ_ONCE(s->gone))
		pr_err("not ok transfer: called after the end\n");
	if (s->call_back) {
		s->call_back = false;
		call_back(s);
	}

	return request_len;
}

static const struct tdx_doe_ops fake_ops = {
	.transfer = fake_transfer,
};

static const struct tdx_spdm_session_params session_params = {
	.rid = 0x0100,
	.nid = NUMA_NO_NODE,
	.ops = &fake_ops,
	.data = &sample,
	.flags = TDX_SPDM_CONFIG,
	.capabilities = TDX_SPDM_CAP_HEARTBEAT | TDX_SPDM_CAP_KEY_UPDATE,
	.certificate_slots = 0xff,
};

static const struct tdx_ide_stream_params stream_params = {
	.nid = NUMA_NO_NODE,
	.flags = TDX_IDE_PCRC,
	.root_port = 0x08,
	.traffic_class = 1,
	.rid_base = 0x0100,
	.rid_limit = 0x01ff,
	.addr_limit = U64_MAX,
};

/* Makes one of each. */
static void make_all(struct sample *s)
{
	s->user = tdx_pages_register("sample");
	expect_ptr("register", 0, s->user);
	s->array = tdx_page_array_create(s->user, 3, 0);
	expect_ptr("array: create", 0, s->array);
	s->iommu = tdx_iommu_setup(s->user, iommu_base, NUMA_NO_NODE);
	expect_ptr("iommu: setup", 0, s->iommu);
	s->session = tdx_spdm_session_create(s->user, &session_params);
	expect_ptr("session: create", 0, s->session);
	expect("session: connect", 0,
	       min_t(ssize_t, 0, tdx_spdm_session_connect(s->session)));
	s->stream = tdx_ide_stream_create(s->session, &stream_params);
	expect_ptr("stream: create", 0, s->stream);
}

static void end_all(struct sample *s)
{
	tdx_ide_stream_end(s->stream);
	tdx_spdm_session_end(s->session);
	tdx_iommu_end(s->iommu);
	tdx_page_array_end(s->array);
}

/* Every page that was handed over is back. */
static void expect_balance(struct sample *s)
{
	struct tdx_pages_balance balance = {};

	expect("balance", 0, tdx_pages_user_balance(s->user, &balance));
	expect("balance: some were handed over", 1, balance.handed_over > 0);
	expect("balance: all came back", balance.handed_over, balance.released);
	expect("balance: none is held", 0, balance.held);
	expect("balance: none is in quarantine", 0, balance.quarantined);
	expect("balance: none is lost", 0, balance.lost);
}

static void use_array(struct sample *s)
{
	static const char text[] = "across two pages";
	char back[sizeof(text)] = {};
	char *va;

	expect("array: nr_pages", 3, tdx_page_array_nr_pages(s->array));
	expect("array: nid", 0, tdx_page_array_nid(s->array));
	expect("array: write", 0,
	       tdx_page_array_write(s->array, PAGE_SIZE - 4, text, sizeof(text)));
	expect("array: read", 0, tdx_page_array_read(s->array, PAGE_SIZE - 4, back, sizeof(back)));
	expect("array: what was written", 0, memcmp(back, text, sizeof(text)));
	va = tdx_page_array_vmap(s->array);
	expect_ptr("array: vmap", 0, va);
	if (IS_ERR(va))
		return;
	expect("array: what is mapped", 0, memcmp(va + PAGE_SIZE - 4, text, sizeof(text)));
	va[3 * PAGE_SIZE - 1] = 0x5a;
	expect("array: read while mapped", 0,
	       tdx_page_array_read(s->array, 3 * PAGE_SIZE - 1, back, 1));
	expect("array: the last byte", 0x5a, back[0]);
	expect_ptr("array: vmap twice", -EBUSY, tdx_page_array_vmap(s->array));
	expect("array: vunmap", 0, tdx_page_array_vunmap(s->array));
	expect("array: vunmap twice", -EINVAL, tdx_page_array_vunmap(s->array));
	/* Its end is good for one that is mapped, too. */
	expect_ptr("array: vmap again", 0, tdx_page_array_vmap(s->array));
}

static void use_session(struct sample *s)
{
	u8 info[16] = {};
	u64 id;

	expect("iommu: id", 0, tdx_iommu_id(s->iommu, &id));
	expect("session: id", 0, tdx_spdm_session_id(s->session, &id));
	expect("session: connect twice", -EISCONN, tdx_spdm_session_connect(s->session));
	expect("session: device_info", sizeof(info),
	       tdx_spdm_session_device_info(s->session, 0, info, sizeof(info)));
	expect("session: there is some", 1, !!memchr_inv(info, 0, sizeof(info)));
	expect("session: device_info behind the end", 0,
	       tdx_spdm_session_device_info(s->session, SIZE_MAX, info, sizeof(info)));
	expect("session: heartbeat", 0, tdx_spdm_session_manage(s->session, TDX_SPDM_HEARTBEAT));
	expect("session: key update", 0, tdx_spdm_session_manage(s->session, TDX_SPDM_KEY_UPDATE));
	expect("session: device info again", 0,
	       tdx_spdm_session_manage(s->session, TDX_SPDM_DEVICE_INFO));
	expect("session: the device was asked", 1, s->messages > 0);
}

static void use_stream(struct sample *s)
{
	u64 id, ide_id;

	expect("stream: id", 0, tdx_ide_stream_id(s->stream, &id, &ide_id));
	expect("stream: id of neither", 0, tdx_ide_stream_id(s->stream, NULL, NULL));
	expect("stream: refresh_keys too early", -EINVAL, tdx_ide_stream_refresh_keys(s->stream));
	expect("stream: set_up_keys", 0, tdx_ide_stream_set_up_keys(s->stream));
	expect("stream: refresh_keys", 0, tdx_ide_stream_refresh_keys(s->stream));
	expect("stream: stop_keys", 0, tdx_ide_stream_stop_keys(s->stream));
	expect("stream: stop_keys twice", -EINVAL, tdx_ide_stream_stop_keys(s->stream));
}

static void run_life(struct sample *s)
{
	make_all(s);
	use_array(s);
	use_session(s);
	use_stream(s);
	tdx_ide_stream_end(s->stream);
	expect("session: disconnect", 0, tdx_spdm_session_disconnect(s->session));
	expect("session: disconnect twice", -EINVAL, tdx_spdm_session_disconnect(s->session));
	tdx_spdm_session_end(s->session);
	tdx_iommu_end(s->iommu);
	tdx_page_array_end(s->array);
	expect_balance(s);
	tdx_pages_unregister(s->user);
}

static void run_leak(struct sample *s)
{
	make_all(s);
	expect("stream: set_up_keys", 0, tdx_ide_stream_set_up_keys(s->stream));
	s->messages = 0;
	tdx_pages_unregister(s->user);
	/* Stopping the keys and disconnecting took some. */
	expect("the device was asked", 1, s->messages > 0);
}

static void run_twice(struct sample *s)
{
	make_all(s);
	end_all(s);
	end_all(s);
	expect_balance(s);
	tdx_pages_unregister(s->user);
	tdx_pages_unregister(s->user);
}

/*
 * Calls each function that takes an object with what is none, one of which is
 * said in the name.  All of them fail in the same way.
 */
static void use_all(const char *what, long wanted, struct sample *s)
{
	struct tdx_pages_balance balance = {};
	u64 id = 77, ide_id = 77;
	u8 byte = 77;

	pr_info("begin %s\n", what);
	expect("user: balance", wanted, tdx_pages_user_balance(s->user, &balance));
	expect_ptr("array: create", wanted, tdx_page_array_create(s->user, 1, NUMA_NO_NODE));
	expect("array: nr_pages", 0, tdx_page_array_nr_pages(s->array));
	expect("array: nid", wanted, tdx_page_array_nid(s->array));
	expect("array: read", wanted, tdx_page_array_read(s->array, 0, &byte, 1));
	expect("array: write", wanted, tdx_page_array_write(s->array, 0, &byte, 1));
	expect_ptr("array: vmap", wanted, tdx_page_array_vmap(s->array));
	expect("array: vunmap", wanted, tdx_page_array_vunmap(s->array));
	expect_ptr("iommu: setup", wanted, tdx_iommu_setup(s->user, iommu_base, NUMA_NO_NODE));
	expect("iommu: id", wanted, tdx_iommu_id(s->iommu, &id));
	expect_ptr("session: create", wanted, tdx_spdm_session_create(s->user, &session_params));
	expect("session: connect", wanted, tdx_spdm_session_connect(s->session));
	expect("session: device_info", wanted,
	       tdx_spdm_session_device_info(s->session, 0, &byte, 1));
	expect("session: manage", wanted, tdx_spdm_session_manage(s->session, TDX_SPDM_HEARTBEAT));
	expect("session: disconnect", wanted, tdx_spdm_session_disconnect(s->session));
	expect("session: id", wanted, tdx_spdm_session_id(s->session, &id));
	expect_ptr("stream: create", wanted, tdx_ide_stream_create(s->session, &stream_params));
	expect("stream: set_up_keys", wanted, tdx_ide_stream_set_up_keys(s->stream));
	expect("stream: refresh_keys", wanted, tdx_ide_stream_refresh_keys(s->stream));
	expect("stream: stop_keys", wanted, tdx_ide_stream_stop_keys(s->stream));
	expect("stream: id", wanted, tdx_ide_stream_id(s->stream, &id, &ide_id));
	expect("nothing was written", 1, id == 77 && ide_id == 77 && byte == 77);
	pr_info("end %s\n", what);
}

static void run_after(struct sample *s)
{
	make_all(s);
	end_all(s);
	expect_balance(s);
	tdx_pages_unregister(s->user);
	use_all("ended", -EINVAL, s);
}

/* Gives every function an object that is none, each of the same form. */
static void use_as(const char *what, void *pointer)
{
	struct sample s = {
		.user = pointer, .array = pointer, .iommu = pointer,
		.session = pointer, .stream = pointer,
	};

	use_all(what, -EINVAL, &s);
	/* These do nothing, and say so unless it is NULL or an error pointer. */
	end_all(&s);
	tdx_pages_unregister(s.user);
}

static void bad_names(void)
{
	expect_ptr("register: NULL", -EINVAL, tdx_pages_register(NULL));
	expect_ptr("register: an error pointer", -EINVAL, tdx_pages_register(ERR_PTR(-EIO)));
	expect_ptr("register: no letter", -EINVAL, tdx_pages_register(""));
	expect_ptr("register: a blank", -EINVAL, tdx_pages_register("my driver"));
	expect_ptr("register: no ASCII", -EINVAL, tdx_pages_register("\xff\xfe"));
	expect_ptr("register: 33 letters", -EINVAL,
		   tdx_pages_register("123456789012345678901234567890123"));
	expect_ptr("register: a name in use", -EEXIST, tdx_pages_register("sample"));
	expect_ptr("register: a name of our own", -EEXIST, tdx_pages_register("ext_pool"));
}

static void bad_arguments(struct sample *s)
{
	struct tdx_doe_ops no_ops = {};
	struct tdx_spdm_session_params session = session_params;
	struct tdx_ide_stream_params stream = stream_params;
	char byte;

	expect("balance: NULL", -EINVAL, tdx_pages_user_balance(s->user, NULL));
	expect_ptr("array: no pages", -EINVAL, tdx_page_array_create(s->user, 0, 0));
	expect_ptr("array: all pages", -ENOMEM, tdx_page_array_create(s->user, SIZE_MAX, 0));
	expect("array: read past the end", -ERANGE,
	       tdx_page_array_read(s->array, 3 * PAGE_SIZE, &byte, 1));
	expect("array: read without end", -ERANGE,
	       tdx_page_array_read(s->array, 1, &byte, SIZE_MAX));
	expect("array: write past the end", -ERANGE,
	       tdx_page_array_write(s->array, 3 * PAGE_SIZE - 1, &byte, 2));
	expect("array: read to NULL", -EINVAL, tdx_page_array_read(s->array, 0, NULL, 1));
	expect("array: read nothing to NULL", 0, tdx_page_array_read(s->array, 0, NULL, 0));
	expect("array: write from a handle", -EINVAL,
	       tdx_page_array_write(s->array, 0, s->array, 1));
	expect_ptr("iommu: that is set up", -EBUSY,
		   tdx_iommu_setup(s->user, iommu_base, NUMA_NO_NODE));
	expect("iommu: id to NULL", -EINVAL, tdx_iommu_id(s->iommu, NULL));

	expect_ptr("session: no params", -EINVAL, tdx_spdm_session_create(s->user, NULL));
	session.ops = NULL;
	expect_ptr("session: no ops", -EINVAL, tdx_spdm_session_create(s->user, &session));
	session.ops = &no_ops;
	expect_ptr("session: no transfer", -EINVAL, tdx_spdm_session_create(s->user, &session));
	session = session_params;
	session.flags = 2;
	expect_ptr("session: flags", -EINVAL, tdx_spdm_session_create(s->user, &session));
	session = session_params;
	session.capabilities = 1;
	expect_ptr("session: capabilities", -EINVAL, tdx_spdm_session_create(s->user, &session));
	session = session_params;
	session.segment = 256;
	expect_ptr("session: segment", -EINVAL, tdx_spdm_session_create(s->user, &session));
	expect_ptr("session: a second one", -EEXIST,
		   tdx_spdm_session_create(s->user, &session_params));
	expect("session: operation", -EINVAL, tdx_spdm_session_manage(s->session, 3));
	expect("session: operation -1", -EINVAL, tdx_spdm_session_manage(s->session, -1));
	expect("session: info to NULL", -EINVAL,
	       tdx_spdm_session_device_info(s->session, 0, NULL, 1));
	expect("session: info without end", -EINVAL,
	       tdx_spdm_session_device_info(s->session, 0, &byte, SIZE_MAX));
	expect("session: id to NULL", -EINVAL, tdx_spdm_session_id(s->session, NULL));

	expect_ptr("stream: no params", -EINVAL, tdx_ide_stream_create(s->session, NULL));
	stream.flags = 2;
	expect_ptr("stream: flags", -EINVAL, tdx_ide_stream_create(s->session, &stream));
	stream = stream_params;
	stream.traffic_class = 8;
	expect_ptr("stream: class", -EINVAL, tdx_ide_stream_create(s->session, &stream));
	stream = stream_params;
	stream.segment = 256;
	expect_ptr("stream: segment", -EINVAL, tdx_ide_stream_create(s->session, &stream));
	stream = stream_params;
	stream.rid_limit = 0;
	expect_ptr("stream: requester ids", -EINVAL, tdx_ide_stream_create(s->session, &stream));
	stream = stream_params;
	stream.addr_base = PAGE_SIZE;
	expect_ptr("stream: addresses", -EINVAL, tdx_ide_stream_create(s->session, &stream));
	expect("stream: id to an error pointer", -EINVAL,
	       tdx_ide_stream_id(s->stream, ERR_PTR(-EIO), NULL));

	s->call_back = true;
	expect("transfer: the heartbeat it is for", 0,
	       tdx_spdm_session_manage(s->session, TDX_SPDM_HEARTBEAT));
}

static void run_null(struct sample *s)
{
	use_as("NULL", NULL);
}

static void run_error(struct sample *s)
{
	use_as("error pointer", ERR_PTR(-ENOMEM));
}

static void run_number(struct sample *s)
{
	s->user = tdx_pages_register("sample");
	expect_ptr("register", 0, s->user);
	use_as("an address", s);
	/* The mark of a handle, and a number that none has yet. */
	use_as("a handle to come", (void *)((unsigned long)s->user + 0x8000));
	tdx_pages_unregister(s->user);
}

static void run_bad(struct sample *s)
{
	make_all(s);
	bad_names();
	bad_arguments(s);
	/* State as before: all of it still works. */
	expect("array: nr_pages", 3, tdx_page_array_nr_pages(s->array));
	expect("session: heartbeat", 0, tdx_spdm_session_manage(s->session, TDX_SPDM_HEARTBEAT));
	/* Another kind of object. */
	expect("session as array", -EINVAL, tdx_page_array_vunmap((void *)s->session));
	expect("stream as iommu", -EINVAL, tdx_iommu_id((void *)s->stream, NULL));
	tdx_page_array_end((void *)s->session);
	end_all(s);
	expect_balance(s);
	tdx_pages_unregister(s->user);
}

/* Works until its user is gone. */
static int racer(void *data)
{
	struct tdx_page_array *array;
	struct sample *s = data;
	int ret;

	do {
		array = tdx_page_array_create(s->user, 2, NUMA_NO_NODE);
		ret = tdx_page_array_write(s->array, 0, "race", 4);
		if (!ret)
			ret = tdx_spdm_session_manage(s->session, TDX_SPDM_HEARTBEAT);
		if (!ret)
			tdx_page_array_end(array);
	} while (!ret);
	expect("race: its user is gone", -EINVAL, ret);
	kthread_complete_and_exit(&race_done, 0);
}

static void run_race(struct sample *s)
{
	int i, begun = 0;

	make_all(s);
	s->slow = true;
	for (i = 0; i < RACERS; i++)
		begun += !IS_ERR(kthread_run(racer, s, "tdx_pages_race"));
	expect("race: tasks", RACERS, begun);
	s->messages = 0;
	msleep(200);
	tdx_pages_unregister(s->user);
	WRITE_ONCE(s->gone, true);
	expect("race: the device was asked", 1, s->messages > 0);
	while (begun--)
		wait_for_completion(&race_done);
}

static void run_hold(struct sample *s)
{
	s->user = tdx_pages_register("sample");
	expect_ptr("register", 0, s->user);
	s->array = tdx_page_array_create(s->user, 600, NUMA_NO_NODE);
	expect_ptr("array: create", 0, s->array);
	s->iommu = tdx_iommu_setup(s->user, iommu_base, NUMA_NO_NODE);
	expect_ptr("iommu: setup", 0, s->iommu);
}

static const struct {
	const char *name;
	void (*run)(struct sample *s);
} scenarios[] = {
	{ "life", run_life }, { "leak", run_leak }, { "twice", run_twice },
	{ "after", run_after }, { "null", run_null }, { "error", run_error },
	{ "number", run_number }, { "bad", run_bad }, { "race", run_race },
	{ "hold", run_hold },
};

static int __init sample_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scenarios); i++) {
		if (strcmp(scenarios[i].name, scenario))
			continue;
		scenarios[i].run(&sample);
		pr_info("done %s\n", scenario);

		return 0;
	}
	pr_err("scenario=%s is not known\n", scenario);

	return -EINVAL;
}

static void __exit sample_exit(void)
{
	/* In order, and whatever there is: the others have ended all of theirs. */
	if (strcmp(scenario, "hold"))
		return;
	tdx_iommu_end(sample.iommu);
	tdx_page_array_end(sample.array);
	expect_balance(&sample);
	tdx_pages_unregister(sample.user);
}

module_init(sample_init);
module_exit(sample_exit);

MODULE_AUTHOR("The tdx-pages developers");
MODULE_DESCRIPTION("A sample user of tdx_pages, in C");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs files of the software TDX Module: state, seamcalls, journal, control.
 *
 * They are made here because Rust's debugfs gives them no owner, so that a file
 * still open when the module goes would be the end of it.  What stands in them
 * comes from Rust.
 */

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <tdx_pages/emu.h>

/* More than anybody has to say to the control file at a time. */
#define CONTROL_MAX		SZ_64K

static struct dentry *emu_dir;

static int state_show(struct seq_file *m, void *unused)
{
	tdx_emu_show_state(m, m->private);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

static int seamcalls_show(struct seq_file *m, void *unused)
{
	tdx_emu_show_seamcalls(m, m->private);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(seamcalls);

static int journal_show(struct seq_file *m, void *unused)
{
	tdx_emu_show_journal(m, m->private);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(journal);

/* Rust has no %pS. */
void tdx_emu_show_symbol(struct seq_file *m, u64 ip)
{
	seq_printf(m, ", by %pS", (void *)ip);
}

static ssize_t control_write(struct file *file, const char __user *from,
			     size_t len, loff_t *pos)
{
	char *text;
	int ret;

	if (len > CONTROL_MAX)
		return -E2BIG;
	text = memdup_user_nul(from, len);
	if (IS_ERR(text))
		return PTR_ERR(text);
	ret = tdx_emu_control(file->private_data, text, len);
	kfree(text);
	return ret ?: len;
}

static const struct file_operations control_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= control_write,
	.llseek	= noop_llseek,
};

/* Without debugfs there are no files, and that is all. */
void tdx_emu_debugfs_add(void *emu)
{
	emu_dir = debugfs_create_dir("tdx_emu", NULL);
	debugfs_create_file("state", 0400, emu_dir, emu, &state_fops);
	debugfs_create_file("seamcalls", 0400, emu_dir, emu, &seamcalls_fops);
	debugfs_create_file("journal", 0400, emu_dir, emu, &journal_fops);
	debugfs_create_file("control", 0200, emu_dir, emu, &control_fops);
}

void tdx_emu_debugfs_remove(void)
{
	debugfs_remove_recursive(emu_dir);
	emu_dir = NULL;
}

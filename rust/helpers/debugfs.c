// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs files with an owner: one that is open holds the kernel module, so
 * that its code cannot go away under the reader.  The kernel crate's debugfs
 * sets none, and a file still open at rmmod oopses when it is closed.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include <tdx_pages/helpers.h>

static struct dentry *root;
/* What the files show; see tdx_pages_debugfs_add(). */
static const void *shown_context;

static const struct shown {
	const char *name;
	void (*show)(struct seq_file *m, const void *context);
} files[] = {
	{ "summary", tdx_pages_show_summary },
	{ "users", tdx_pages_show_users },
	{ "objects", tdx_pages_show_objects },
	{ "handles", tdx_pages_show_handles },
	{ "quarantine", tdx_pages_show_quarantine },
	{ "seamcalls", tdx_pages_show_seamcalls },
	{ "features", tdx_pages_show_features },
	{ "state", tdx_pages_show_state },
};

static int shown_show(struct seq_file *m, void *unused)
{
	const struct shown *file = m->private;

	file->show(m, shown_context);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(shown);

/* Whatever is written: all of the quarantine is tried again at once. */
static ssize_t retry_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	tdx_pages_retry_now(file->private_data);

	return len;
}

static const struct file_operations retry_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = retry_write,
};

/*
 * @context is handed to the show functions and must live until
 * tdx_pages_debugfs_remove() has returned.  For root only: who holds how much,
 * and in the quarantine where that is in memory.
 */
int tdx_pages_debugfs_add(const void *context)
{
	struct dentry *dir = debugfs_create_dir("tdx_pages", NULL);
	unsigned int i;

	if (IS_ERR(dir))
		return PTR_ERR(dir);
	root = dir;
	shown_context = context;
	for (i = 0; i < ARRAY_SIZE(files); i++)
		debugfs_create_file(files[i].name, 0400, root, (void *)&files[i], &shown_fops);
	debugfs_create_file("retry", 0200, root, (void *)context, &retry_fops);

	return 0;
}

/* Waits for readers that are inside; none comes in afterwards. */
void tdx_pages_debugfs_remove(void)
{
	debugfs_remove(root);
	root = NULL;
}

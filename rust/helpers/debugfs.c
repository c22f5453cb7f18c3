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

static int summary_show(struct seq_file *m, void *unused)
{
	tdx_pages_show_summary(m, m->private);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(summary);

static int users_show(struct seq_file *m, void *unused)
{
	tdx_pages_show_users(m, m->private);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(users);

static int objects_show(struct seq_file *m, void *unused)
{
	tdx_pages_show_objects(m, m->private);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(objects);

static int quarantine_show(struct seq_file *m, void *unused)
{
	tdx_pages_show_quarantine(m, m->private);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(quarantine);

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
 * tdx_pages_debugfs_remove() has returned.  Readers see counts only, yet which
 * device holds how much is for root.
 */
int tdx_pages_debugfs_add(const void *context)
{
	struct dentry *dir = debugfs_create_dir("tdx_pages", NULL);
	void *data = (void *)context;

	if (IS_ERR(dir))
		return PTR_ERR(dir);
	root = dir;
	debugfs_create_file("summary", 0400, root, data, &summary_fops);
	debugfs_create_file("users", 0400, root, data, &users_fops);
	debugfs_create_file("objects", 0400, root, data, &objects_fops);
	debugfs_create_file("quarantine", 0400, root, data, &quarantine_fops);
	debugfs_create_file("retry", 0200, root, data, &retry_fops);

	return 0;
}

/* Waits for readers that are inside; none comes in afterwards. */
void tdx_pages_debugfs_remove(void)
{
	debugfs_remove(root);
	root = NULL;
}

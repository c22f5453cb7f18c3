// SPDX-License-Identifier: GPL-2.0
/*
 * An alias for people.  There is none for a CPU or a device on purpose: loading
 * hands the extension pool over, for good, so it is never done unasked.
 */

#include <linux/module.h>

MODULE_ALIAS("tdx-connect-pages");

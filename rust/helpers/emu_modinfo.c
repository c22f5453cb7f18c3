// SPDX-License-Identifier: GPL-2.0
/* What modinfo tells of tdx_emu.ko beside the macro "module!". */

#include <linux/module.h>

MODULE_VERSION("0.1");
MODULE_ALIAS("tdx-module-emulator");

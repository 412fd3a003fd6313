/* SPDX-License-Identifier: MIT */
/* The same, with the name put together by a macro. */
#define NAME <stdio.h>
#define HOST "/usr/include/stdio.h"
#include HOST

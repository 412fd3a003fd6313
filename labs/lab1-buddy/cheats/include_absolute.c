/* SPDX-License-Identifier: MIT */
/* A file of the host as source, which the compiler's messages would show. */
#include "/etc/passwd"

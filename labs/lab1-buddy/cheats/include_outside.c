/* SPDX-License-Identifier: MIT */
/* A file outside of the tree. */
#include "../../../../../../etc/passwd"

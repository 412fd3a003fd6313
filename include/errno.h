/* SPDX-License-Identifier: MIT */
/*
 * Error numbers. Functions that can fail return 0 or a negative one of these;
 * the values are Linux's, so that they reach a user program unchanged.
 */
#ifndef IKOS_ERRNO_H
#define IKOS_ERRNO_H

#define ENOENT 2
#define EIO    5
#define E2BIG  7
#define ENOMEM 12
#define EBUSY  16
#define EINVAL 22
#define ENOSPC 28
#define ERANGE 34

#endif

/* SPDX-License-Identifier: MIT */
/* What the cases of lab 3 share. */
#ifndef LAB3_H
#define LAB3_H

#include <ktest.h>

#endif

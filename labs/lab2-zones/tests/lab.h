/* SPDX-License-Identifier: MIT */
/* What the cases of lab 2 share. */
#ifndef LAB2_H
#define LAB2_H

#include <ktest.h>

#endif

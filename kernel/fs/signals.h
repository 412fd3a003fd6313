/* SPDX-License-Identifier: MIT */
#ifndef SIGNALS_H
#define SIGNALS_H
#define SIGHUP	 1
#define SIGINT	 2
#define SIGQUIT	 3
#define SIGPIPE	 13
#define SIGCONT	 18
#define SIGTSTP	 20
#define SIGTTIN	 21
#define SIGTTOU	 22
#define SIGWINCH 28
#endif

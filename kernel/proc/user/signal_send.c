/* SPDX-License-Identifier: MIT */
/*
 * Sending signals.
 *
 * A signal waits in the queue of the process or of one thread until a thread that does not block
 * it is on its way to user mode. A signal that would be ignored is not even queued, unless it is
 * blocked: the program may set a handler before it unblocks it. Ordinary signals wait once, however
 * often they are sent; from SIGRTMIN on each is queued with its own record.
 *
 *	signal_send_locked() --> queue --> thread_interrupt() of a thread that will take it:
 *	                                   wakes it from what it waits for, or calls its CPU
 *
 * Signals of the kernel itself, such as those of a terminal, need no memory and may be sent from
 * interrupts: a signal without a record says SI_KERNEL.
 */
#include <slab.h>
#include <string.h>

#include "user.h"

#define IGNORED_BY_DEFAULT                                                                         \
	(SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))
#define STOPPING                                                                                   \
	(SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))

static KMEM_CACHE(record_cache, "signal record", sizeof(struct signal_record), 8, 0, NULL);

/* ---- Records ----------------------------------------------------------------------------- */

struct signal_record *
signal_record_alloc(int signal, int code)
{
	gfp_t gfp = arch_irqs_enabled() ? GFP_KERNEL : GFP_NOWAIT;
	struct signal_record *record = kmem_cache_alloc(&record_cache, gfp);
	const struct process *process = process_current();

	if (!record)
		return NULL;
	memset(record, 0, sizeof(*record));
	record->info.signo = signal;
	record->info.code = code;
	if (process) {
		record->info.from.pid = process->pid;
		record->info.from.uid = process->private->credentials.uid.real;
	}
	return record;
}

void
signal_record_free(struct signal_record *record)
{
	kmem_cache_free(&record_cache, record);
}

void
signals_init(struct signal_queue *queue)
{
	queue->set = 0;
	queue->nr_records = 0;
	list_init(&queue->records);
}

void
signals_take(struct signal_queue *queue, uint64_t set, struct list_head *dropped)
{
	struct signal_record *record, *next;

	queue->set &= ~set;
	list_for_each_entry_safe (record, next, &queue->records, link) {
		if (set & SIGNAL_BIT(record->info.signo)) {
			queue->nr_records--;
			list_del(&record->link);
			list_add_tail(&record->link, dropped);
		}
	}
}

void
signals_free(struct list_head *dropped)
{
	struct signal_record *record, *next;

	list_for_each_entry_safe (record, next, dropped, link)
		signal_record_free(record);
}

/* ---- What becomes of it ------------------------------------------------------------------ */

enum signal_effect
signal_effect_locked(const struct process *process, int signal)
{
	const struct abi_sigaction *action = &process->private->actions->of[signal - 1];

	assert_held(&process_lock);
	if (action->handler == SIG_IGN)
		return EFFECT_IGNORE;
	if (action->handler != SIG_DFL)
		return EFFECT_HANDLER;
	if (IGNORED_BY_DEFAULT & SIGNAL_BIT(signal))
		return EFFECT_IGNORE;
	return STOPPING & SIGNAL_BIT(signal) ? EFFECT_STOP : EFFECT_END;
}

/* A thread of the process that would take it: one that waits for it, the running one, or any. */
static struct user_thread *
taker_locked(struct process *process, int signal)
{
	struct user_thread *user, *me = user_current();

	assert_held(&process_lock);
	list_for_each_entry (user, &process->private->threads, link)
		if (user->waits_for & SIGNAL_BIT(signal))
			return user;
	if (me && me->process == process && !(me->blocked & SIGNAL_BIT(signal)))
		return me;
	list_for_each_entry (user, &process->private->threads, link)
		if (!(user->blocked & SIGNAL_BIT(signal)))
			return user;
	return NULL;
}

/* SIGCONT undoes stops, and a stop undoes SIGCONTs, whatever their handlers are. */
static void
cancel_locked(struct process *process, uint64_t set, struct list_head *dropped)
{
	struct user_thread *user;

	assert_held(&process_lock);
	signals_take(&process->private->pending, set, dropped);
	list_for_each_entry (user, &process->private->threads, link)
		signals_take(&user->pending, set, dropped);
}

static void
stop_or_go_locked(struct process *process, int signal, struct list_head *dropped)
{
	struct process_private *private = process->private;

	assert_held(&process_lock);
	if (STOPPING & SIGNAL_BIT(signal))
		cancel_locked(process, SIGNAL_BIT(SIGCONT), dropped);
	if (signal != SIGCONT)
		return;
	cancel_locked(process, STOPPING, dropped);
	if (private->stopped) {
		private->stopped = false;
		private->goes_on = true;
		private->report = (struct wait_status){ CLD_CONTINUED, SIGCONT };
		wake_all(&private->continued);
	}
}

/* Returns false if the signal waits already, or needs no record: then record is the caller's. */
static bool
add_to_queue_locked(struct signal_queue *queue, int signal, struct signal_record *record)
{
	bool waits = queue->set & SIGNAL_BIT(signal);

	assert_held(&process_lock);
	queue->set |= SIGNAL_BIT(signal);
	if (!record || (waits && signal < SIGRTMIN))
		return false;
	list_add_tail(&record->link, &queue->records);
	queue->nr_records++;
	return true;
}

void
signal_send_locked(struct process *process, struct user_thread *user, int signal,
		   struct signal_record *record, struct list_head *dropped)
{
	struct process_private *private = process->private;
	struct signal_queue *queue = user ? &user->pending : &private->pending;
	struct user_thread *taker = user ? user : taker_locked(process, signal);
	uint64_t bit = SIGNAL_BIT(signal);
	bool queued = false;

	assert_held(&process_lock);
	if (process->state == PROCESS_ZOMBIE || private->ending)
		goto done;
	stop_or_go_locked(process, signal, dropped);
	if (taker && !(taker->blocked & bit) &&
	    signal_effect_locked(process, signal) == EFFECT_IGNORE)
		goto done;
	if (signal == SIGKILL) { /* need not wait until one thread has taken it */
		process_end_locked(process, CLD_KILLED, signal);
		goto done;
	}
	if (record)
		record->info.signo = signal;
	queued = add_to_queue_locked(queue, signal, record);
	if (taker && (!(taker->blocked & bit) || taker->waits_for & bit))
		thread_interrupt(taker->thread);
	signal_wake_readers_locked(process);
done:
	if (record && !queued)
		list_add_tail(&record->link, dropped);
}

/* ---- From the kernel --------------------------------------------------------------------- */

/*
 * The first process gets only what it has a handler for, or the system would lose it; and what it
 * blocks, as it may wait for that. user: who is to take it, or NULL: any thread.
 */
static bool
is_protected_locked(struct process *process, struct user_thread *user, int signal)
{
	uint64_t bit = SIGNAL_BIT(signal);

	assert_held(&process_lock);
	if (process != first_process || signal_effect_locked(process, signal) == EFFECT_HANDLER)
		return false;
	user = user ? user : taker_locked(process, signal);
	return bit & SIGNALS_UNBLOCKABLE || (user && !(user->blocked & bit));
}

/* Without a record. Callable from interrupts. */
static void
send_plain_locked(struct process *process, int signal)
{
	assert_held(&process_lock);
	if (!is_protected_locked(process, NULL, signal))
		signal_send_locked(process, NULL, signal, NULL, reaper_records_locked());
}

int
signal_process(int pid, int signal)
{
	irqflags_t flags;
	struct process *process;

	if (signal < 1 || signal > NR_SIGNALS)
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	process = process_find_locked(pid);
	if (process)
		send_plain_locked(process, signal);
	spin_unlock_irqrestore(&process_lock, flags);
	return process ? 0 : -ESRCH;
}

/*
 * The youngest first: what reads from a pipe shall have the signal before who writes to it ends, so
 * that a pipeline ends as one that was interrupted and not as one whose input ended.
 */
int
signal_group(int group, int signal)
{
	struct process *process;
	irqflags_t flags;
	int error = -ESRCH;

	if (signal < 1 || signal > NR_SIGNALS)
		return -EINVAL;
	flags = spin_lock_irqsave(&process_lock);
	for (process = process_before_locked(INT32_MAX); process;
	     process = process_before_locked(process->pid)) {
		if (process->group != group)
			continue;
		send_plain_locked(process, signal);
		error = 0;
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return error;
}

/*
 * What an instruction of the running thread caused cannot wait: if the program blocks or ignores
 * it, it gets the default treatment.
 */
static void
send_current(int signal, struct signal_record *record)
{
	struct user_thread *me = user_current();
	struct abi_sigaction *action = &me->process->private->actions->of[signal - 1];
	struct list_head dropped = LIST_INIT(dropped);
	irqflags_t flags;

	flags = spin_lock_irqsave(&process_lock);
	if (SIGNALS_OF_FAULTS & SIGNAL_BIT(signal) &&
	    (me->blocked & SIGNAL_BIT(signal) || action->handler == SIG_IGN)) {
		action->handler = SIG_DFL;
		me->blocked &= ~SIGNAL_BIT(signal);
	}
	signal_send_locked(me->process, me, signal, record, &dropped);
	spin_unlock_irqrestore(&process_lock, flags);
	signals_free(&dropped);
}

void
signal_current(int signal, int code, uintptr_t address)
{
	signal_current_because(signal, code, 0, address);
}

void
signal_current_because(int signal, int code, int error, uintptr_t address)
{
	struct signal_record *record = signal_record_alloc(signal, code);

	if (record && code != SI_USER) { /* that is from the program itself */
		record->info.error = error;
		record->info.fault.address = address;
	}
	send_current(signal, record);
}

void
signal_current_key(uintptr_t address, unsigned key)
{
	struct signal_record *record = signal_record_alloc(SIGSEGV, SEGV_PKUERR);

	if (record) {
		record->info.fault.address = address;
		record->info.fault.key = key;
	}
	send_current(SIGSEGV, record);
}

bool
signal_is_fatal(int signal)
{
	struct user_thread *me = user_current();
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	enum signal_effect effect = signal_effect_locked(me->process, signal);
	bool fatal =
	    effect == EFFECT_END || effect == EFFECT_IGNORE || me->blocked & SIGNAL_BIT(signal);

	spin_unlock_irqrestore(&process_lock, flags);
	return fatal;
}

/* ---- From programs ----------------------------------------------------------------------- */

/* One signal that a program sends, and to whom. */
struct sending {
	int signal, code;
	uint64_t value;
	struct list_head dropped;
	bool refused, sent; /* to somebody, for want of the right to; to somebody else */
	bool queue_full;    /* it was not sent for that reason */
};

static bool
may_send_locked(const struct process *process, const struct sending *sending)
{
	return may_control_locked(process) ||
	       (sending->signal == SIGCONT && process->session == process_current()->session);
}

static struct signal_record *
record_for(const struct sending *sending)
{
	struct signal_record *record = signal_record_alloc(MAX(sending->signal, 1), sending->code);

	if (record)
		record->info.from.value = sending->value;
	return record;
}

/*
 * Is there no room for one more that is to be told of each time? RLIMIT_SIGPENDING is a limit for
 * each queue here, as POSIX's SIGQUEUE_MAX may be (in Linux, for all of a user's).
 */
static bool
has_no_room_locked(const struct process *process, const struct user_thread *user,
		   const struct sending *sending, const struct signal_record *record)
{
	const struct signal_queue *queue = user ? &user->pending : &process->private->pending;

	assert_held(&process_lock);
	if (sending->signal < SIGRTMIN || sending->code == SI_USER)
		return false;
	return !record || queue->nr_records >= process->private->limit[RLIMIT_SIGPENDING].current;
}

static void
send_or_drop_locked(struct process *process, struct user_thread *user, struct sending *sending,
		    struct signal_record *record)
{
	bool may = may_send_locked(process, sending);

	assert_held(&process_lock);
	sending->refused |= !may;
	sending->sent |= may;
	sending->queue_full |= may && has_no_room_locked(process, user, sending, record);
	if (may && sending->signal && !sending->queue_full &&
	    !is_protected_locked(process, user, sending->signal))
		signal_send_locked(process, user, sending->signal, record, &sending->dropped);
	else if (record)
		list_add_tail(&record->link, &sending->dropped);
}

static bool
is_meant_locked(const struct process *process, int64_t pid)
{
	if (pid > 0)
		return process->pid == pid;
	if (pid == -1)
		return process != first_process && process != process_current();
	return process->group == (pid ? -pid : process_current()->group);
}

/* The next process from pid on that is meant gets the signal. Returns its id, or 0: none. */
static int
send_to_next(int from, int64_t pid, struct sending *sending)
{
	struct signal_record *record = record_for(sending);
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct process *process = process_next_locked(from);
	int found = 0;

	while (process && !is_meant_locked(process, pid))
		process = process_next_locked(process->pid + 1);
	if (process) {
		found = process->pid;
		send_or_drop_locked(process, NULL, sending, record);
	} else if (record) {
		list_add_tail(&record->link, &sending->dropped);
	}
	spin_unlock_irqrestore(&process_lock, flags);
	return found;
}

/* The process of a thread, for who gives its number as a process's; or the same number. */
static int
process_of_thread(int id)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	const struct user_thread *user = user_thread_find_locked(id);
	int pid = user ? user->process->pid : id;

	spin_unlock_irqrestore(&process_lock, flags);
	return pid;
}

static int64_t
kill_processes(int64_t pid, struct sending *sending)
{
	int found = 0, last;

	if (pid > 0)
		pid = process_of_thread((int)pid);
	last = pid > 0 ? (int)pid - 1 : 0;

	list_init(&sending->dropped);
	while ((last = send_to_next(last + 1, pid, sending)) != 0) {
		found = last;
		if (pid > 0)
			break;
	}
	signals_free(&sending->dropped);
	if (!found)
		return -ESRCH;
	if (sending->queue_full)
		return -EAGAIN;
	return sending->refused && !sending->sent ? -EPERM : 0;
}

static int64_t
kill_thread(int pid, int tid, struct sending *sending)
{
	struct signal_record *record = record_for(sending);
	irqflags_t flags = spin_lock_irqsave(&process_lock);
	struct user_thread *user = user_thread_find_locked(tid);

	list_init(&sending->dropped);
	if (user && pid && user->process->pid != pid)
		user = NULL;
	if (user)
		send_or_drop_locked(user->process, user, sending, record);
	else if (record)
		list_add_tail(&record->link, &sending->dropped);
	spin_unlock_irqrestore(&process_lock, flags);
	signals_free(&sending->dropped);
	if (!user)
		return -ESRCH;
	if (sending->queue_full)
		return -EAGAIN;
	return sending->refused ? -EPERM : 0;
}

static bool
is_signal(uint64_t signal)
{
	return (uint32_t)signal <= NR_SIGNALS; /* 0: only look whether there is somebody */
}

static int64_t
sys_kill(const uint64_t *arg)
{
	struct sending sending = { .signal = (int)arg[1], .code = SI_USER };

	return is_signal(arg[1]) ? kill_processes((int)arg[0], &sending) : -EINVAL;
}
SYSCALL(62, kill, 2, sys_kill);

static int64_t
sys_tkill(const uint64_t *arg)
{
	struct sending sending = { .signal = (int)arg[1], .code = SI_TKILL };

	if ((int)arg[0] <= 0 || !is_signal(arg[1]))
		return -EINVAL;
	return kill_thread(0, (int)arg[0], &sending);
}
SYSCALL(200, tkill, 2, sys_tkill);

static int64_t
sys_tgkill(const uint64_t *arg)
{
	struct sending sending = { .signal = (int)arg[2], .code = SI_TKILL };

	if ((int)arg[0] <= 0 || (int)arg[1] <= 0 || !is_signal(arg[2]))
		return -EINVAL;
	return kill_thread((int)arg[0], (int)arg[1], &sending);
}
SYSCALL(234, tgkill, 3, sys_tgkill);

/* A program may say what it likes about a signal, but not that it comes from the kernel. */
static int
read_info(uintptr_t from, struct sending *sending)
{
	struct abi_siginfo info;

	if (copy_from_user(&info, from, sizeof(info)))
		return -EFAULT;
	if (info.code >= 0 || info.code == SI_TKILL)
		return -EPERM;
	sending->code = info.code;
	sending->value = info.from.value;
	return 0;
}

static int64_t
sys_rt_sigqueueinfo(const uint64_t *arg)
{
	struct sending sending = { .signal = (int)arg[1] };
	int error = read_info(arg[2], &sending);

	if (error)
		return error;
	if ((int)arg[0] <= 0) /* no group is meant here */
		return -ESRCH;
	if (!is_signal(arg[1]))
		return -EINVAL;
	return kill_processes((int)arg[0], &sending);
}
SYSCALL(129, rt_sigqueueinfo, 3, sys_rt_sigqueueinfo);

static int64_t
sys_rt_tgsigqueueinfo(const uint64_t *arg)
{
	struct sending sending = { .signal = (int)arg[2] };
	int error = read_info(arg[3], &sending);

	if (error)
		return error;
	if ((int)arg[0] <= 0 || (int)arg[1] <= 0 || !is_signal(arg[2]))
		return -EINVAL;
	return kill_thread((int)arg[0], (int)arg[1], &sending);
}
SYSCALL(297, rt_tgsigqueueinfo, 4, sys_rt_tgsigqueueinfo);

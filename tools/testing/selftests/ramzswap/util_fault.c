// SPDX-License-Identifier: GPL-2.0
/* Page faults that fail, see swap_util.h. */
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "kselftest.h"
#include "swap_util.h"

/* Where a thread continues when it cannot read a page */
static __thread sigjmp_buf after_sigbus;
static __thread bool sigbus_expected;

static void on_sigbus(int sig)
{
	if (__atomic_exchange_n(&sigbus_expected, false, __ATOMIC_RELAXED))
		siglongjmp(after_sigbus, 1);
	/* Unexpected: let the signal kill the process. */
	signal(sig, SIG_DFL);
}

/**
 * page_copy() - copy a page that the kernel may have lost
 * @to: the destination
 * @from: the source
 *
 * Either may be the page that is lost.
 *
 * Return: whether it was copied, without a SIGBUS.
 */
bool page_copy(void *to, const void *from)
{
	struct sigaction sa = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };
	static bool catches;

	if (!catches)
		catches = !sigaction(SIGBUS, &sa, NULL);
	if (sigsetjmp(after_sigbus, 0))
		return false;
	__atomic_store_n(&sigbus_expected, true, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memcpy(to, from, page_size);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&sigbus_expected, false, __ATOMIC_RELAXED);
	return true;
}

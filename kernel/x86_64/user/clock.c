/* SPDX-License-Identifier: MIT */
/*
 * The battery-backed clock of a PC, read once at the start; random numbers, and what else is asked
 * of the processor.
 *
 * The clock shows date and time in six registers, usually as decimal digits. It is updated once
 * a second, and must not be read while it is: a reading counts if the next one is the same.
 *
 * Source: Motorola MC146818A data sheet; Intel SDM vol. 2, RDRAND.
 */
#include "machine.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

#define RTC_SECONDS  0x00
#define RTC_MINUTES  0x02
#define RTC_HOURS    0x04
#define RTC_DAY	     0x07
#define RTC_MONTH    0x08
#define RTC_YEAR     0x09
#define RTC_STATUS_A 0x0a
#define RTC_STATUS_B 0x0b
#define RTC_UPDATING 0x80 /* in A */
#define RTC_24_HOURS 0x02 /* in B */
#define RTC_BINARY   0x04 /* in B */
#define RTC_PM	     0x80 /* in the hours, if not 24 */

#define READINGS_MAX 1000

#define RDRAND_TRIES  10 /* Intel's advice: after so many it is broken */
#define JITTER_ROUNDS 64

#define CPUID_RDRAND (1u << 30) /* leaf 1, ECX */

struct reading {
	uint8_t second, minute, hour, day, month, year, status;
};

static uint8_t
cmos_read(uint8_t index)
{
	outb(CMOS_INDEX, index);
	return inb(CMOS_DATA);
}

static struct reading
read_clock(void)
{
	return (struct reading){
		.second = cmos_read(RTC_SECONDS),
		.minute = cmos_read(RTC_MINUTES),
		.hour = cmos_read(RTC_HOURS),
		.day = cmos_read(RTC_DAY),
		.month = cmos_read(RTC_MONTH),
		.year = cmos_read(RTC_YEAR),
		.status = cmos_read(RTC_STATUS_B),
	};
}

static bool
same(const struct reading *a, const struct reading *b)
{
	return a->second == b->second && a->minute == b->minute && a->hour == b->hour &&
	       a->day == b->day && a->month == b->month && a->year == b->year;
}

static unsigned
number(uint8_t value, uint8_t status)
{
	return status & RTC_BINARY ? value : (value >> 4) * 10u + (value & 15);
}

/* Days since 1970 of a date of the years 2000 to 2099, of which each fourth is a leap year. */
static uint64_t
days(unsigned year, unsigned month, unsigned day)
{
	static const uint16_t before[12] = {
		0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334
	};
	const unsigned days_to_2000 = 10957;
	unsigned leaps = (year + 3) / 4 + (year % 4 == 0 && month > 2);

	return days_to_2000 + year * 365 + leaps + before[month - 1] + day - 1;
}

static uint64_t
seconds(const struct reading *r)
{
	unsigned month = number(r->month, r->status), day = number(r->day, r->status);
	unsigned hour = number(r->hour & (uint8_t)~RTC_PM, r->status);

	if (!(r->status & RTC_24_HOURS))
		hour = hour % 12 + (r->hour & RTC_PM ? 12 : 0);
	if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23)
		return 0;
	return (days(number(r->year, r->status), month, day) * 24 + hour) * 3600 +
	       number(r->minute, r->status) * 60 + number(r->second, r->status);
}

uint64_t
arch_wall_clock(void)
{
	struct reading before, after = { 0 };

	for (unsigned i = 0; i < READINGS_MAX; i++) {
		before = after;
		after = read_clock();
		if (i > 0 && same(&before, &after) && !(cmos_read(RTC_STATUS_A) & RTC_UPDATING))
			return seconds(&after);
		arch_cpu_relax();
	}
	return 0;
}

uint64_t
arch_hwcap(void)
{
	return cpuid(1, 0).edx;
}

/* What the lowest bits of the time say that some instructions take, of many rounds. */
static uint64_t
jitter(void)
{
	uint64_t value = 0, last = arch_cycles();

	for (unsigned i = 0; i < JITTER_ROUNDS; i++) {
		uint64_t now;

		(void)cpuid(0, 0); /* takes as long as it likes, more so in a virtual machine */
		now = arch_cycles();
		value = (value << 5 | value >> 59) ^ (now - last);
		value *= 0x9e3779b97f4a7c15ul;
		last = now;
	}
	return value ^ last;
}

uint64_t
arch_random(void)
{
	uint64_t value;
	bool good = false;

	if (!(cpuid(1, 0).ecx & CPUID_RDRAND))
		return jitter();
	for (unsigned i = 0; i < RDRAND_TRIES && !good; i++)
		__asm__ volatile("rdrand %0" : "=r"(value), "=@ccc"(good));
	return good ? value : jitter();
}

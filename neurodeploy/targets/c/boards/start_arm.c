/* Start-up, semihosting and the counter of instructions on Cortex-M: the system timer, which the emulator advances by a
   fixed time with every instruction. */
#include "board.h"

extern uint32_t board_data_from[], board_data_start[], board_data_end[], board_bss_start[], board_bss_end[], board_stack[];
int main(void);

static volatile uint32_t *const SYST_CSR = (volatile uint32_t *)0xE000E010u;
static volatile uint32_t *const SYST_RVR = (volatile uint32_t *)0xE000E014u;
static volatile uint32_t *const SYST_CVR = (volatile uint32_t *)0xE000E018u;
static volatile uint32_t *const CPACR = (volatile uint32_t *)0xE000ED88u;

enum { FULL = 0xffffff, ENABLE = 1, CPU_CLOCK = 4, WRAPPED = 1 << 16 };

void board_reset(void);
void board_fault(void);

void board_reset(void)
{
    uint32_t *to, *from = board_data_from;
    for (to = board_data_start; to < board_data_end; to++)
        *to = *from++;
    for (to = board_bss_start; to < board_bss_end; to++)
        *to = 0;
#if defined(__ARM_FEATURE_MVE) || defined(__ARM_FP)
    *CPACR |= 0xfu << 20;
#else
    (void)CPACR;
#endif
    board_exit(main());
}

void board_fault(void)
{
    board_exit(99);
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)board_stack, (uintptr_t)board_reset, (uintptr_t)board_fault, (uintptr_t)board_fault,
    (uintptr_t)board_fault, (uintptr_t)board_fault, (uintptr_t)board_fault, (uintptr_t)board_fault,
    (uintptr_t)board_fault, (uintptr_t)board_fault, (uintptr_t)board_fault, (uintptr_t)board_fault,
    (uintptr_t)board_fault, (uintptr_t)board_fault, (uintptr_t)board_fault, (uintptr_t)board_fault,
};

__attribute__((noinline)) intptr_t board_call(intptr_t operation, const void *arguments)
{
    register intptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_count_start(void)
{
    *SYST_CSR = 0;
    *SYST_RVR = FULL;
    *SYST_CVR = 0;
    *SYST_CSR = ENABLE | CPU_CLOCK;
}

uint32_t board_count(void)
{
    uint32_t now = *SYST_CVR;
    return (*SYST_CSR & WRAPPED) ? 0xffffffffu : (FULL - now) & FULL;
}

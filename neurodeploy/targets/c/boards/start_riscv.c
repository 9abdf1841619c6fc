/* Start-up, semihosting and the counter of instructions on 32-bit RISC-V: the counter of retired instructions. */
#include "board.h"

int main(void);
void board_run(void);

__asm__(".section .vectors, \"ax\"\n"
        ".global board_reset\n"
        "board_reset:\n"
        ".option push\n"
        ".option norelax\n"
        "    la sp, board_stack\n"
        "    la t0, board_fault\n"
        "    csrw mtvec, t0\n"
        "    la t0, board_data_from\n"
        "    la t1, board_data_start\n"
        "    la t2, board_data_end\n"
        "1:  bgeu t1, t2, 2f\n"
        "    lw t3, 0(t0)\n"
        "    sw t3, 0(t1)\n"
        "    addi t0, t0, 4\n"
        "    addi t1, t1, 4\n"
        "    j 1b\n"
        "2:  la t1, board_bss_start\n"
        "    la t2, board_bss_end\n"
        "3:  bgeu t1, t2, 4f\n"
        "    sw zero, 0(t1)\n"
        "    addi t1, t1, 4\n"
        "    j 3b\n"
        "4:  call board_run\n"
        ".option pop\n"
        ".text\n");

void board_run(void)
{
    board_exit(main());
}

__attribute__((aligned(4), used)) void board_fault(void)
{
    board_exit(99);
}

/* The three instructions of a call must lie in one page and may not be compressed. */
__attribute__((noinline, aligned(16))) intptr_t board_call(intptr_t operation, const void *arguments)
{
    register intptr_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = arguments;
    __asm__ volatile(".option push\n"
                     ".option norvc\n"
                     ".balign 16\n"
                     "slli x0, x0, 0x1f\n"
                     "ebreak\n"
                     "srai x0, x0, 7\n"
                     ".option pop\n"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}

static uint32_t started;

static uint32_t retired(void)
{
    uint32_t n;
    __asm__ volatile("csrr %0, minstret" : "=r"(n));
    return n;
}

void board_count_start(void)
{
    started = retired();
}

uint32_t board_count(void)
{
    return retired() - started;
}

/* Semihosting calls that are the same on Arm and RISC-V; board_call is in start_arm.c and start_riscv.c. */
#include "board.h"

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };

intptr_t board_call(intptr_t operation, const void *arguments);

int board_open(const char *name, int mode)
{
    uintptr_t length = 0, arguments[3];
    while (name[length])
        length++;
    arguments[0] = (uintptr_t)name;
    arguments[1] = (uintptr_t)mode;
    arguments[2] = length;
    return (int)board_call(SYS_OPEN, arguments);
}

int board_read(int file, void *to, uint32_t n)
{
    uintptr_t arguments[3];
    arguments[0] = (uintptr_t)file;
    arguments[1] = (uintptr_t)to;
    arguments[2] = n;
    return (int)board_call(SYS_READ, arguments);
}

int board_write(int file, const void *from, uint32_t n)
{
    uintptr_t arguments[3];
    arguments[0] = (uintptr_t)file;
    arguments[1] = (uintptr_t)from;
    arguments[2] = n;
    return (int)board_call(SYS_WRITE, arguments);
}

void board_exit(int status)
{
    uintptr_t arguments[2];
    arguments[0] = 0x20026; /* ADP_Stopped_ApplicationExit */
    arguments[1] = (uintptr_t)status;
    board_call(SYS_EXIT_EXTENDED, arguments);
    for (;;) {
    }
}

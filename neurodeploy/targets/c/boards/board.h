/* What the programs of this folder need from a board: files on the computer that emulates it, and a counter of
   instructions. Files are opened by semihosting, so that a run costs the board neither flash nor RAM for its data. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

enum { BOARD_READ = 1, BOARD_WRITE = 5 }; /* modes "rb" and "wb" of semihosting */

/* Opens a file in the emulator's folder; below 0 if that fails. */
int board_open(const char *name, int mode);
/* Reads n bytes; 0 if there were as many. */
int board_read(int file, void *to, uint32_t n);
/* Writes n bytes; 0 if all were written. */
int board_write(int file, const void *from, uint32_t n);
/* Ends the emulator. */
void board_exit(int status);

/* Starts the counter anew; board_count then says how many ticks have passed, 0xffffffff where there were too many. */
void board_count_start(void);
uint32_t board_count(void);

/* A loop of two instructions a turn, to calibrate the counter; n is changed. */
#if defined(__riscv)
#define BOARD_LOOP(n) __asm__ volatile("1: addi %0, %0, -1\n bnez %0, 1b" : "+r"(n))
#else
#define BOARD_LOOP(n) __asm__ volatile(".syntax unified\n1: subs %0, %0, #1\n bne 1b" : "+l"(n) : : "cc")
#endif

#endif

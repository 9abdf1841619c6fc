"""The target C: a C99 library for microcontrollers, written from a network and proven spike by spike."""

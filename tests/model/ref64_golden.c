/* The same in double precision. */
#include "test_golden.c"

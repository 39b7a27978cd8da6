/* A data set's or run's summary, for people. */
#ifndef CLLM_CLI_SUMMARY_H
#define CLLM_CLI_SUMMARY_H

#include <stdio.h>

/* `json` is what cllm_prepare or cllm_inspect gave. Prints every member: short objects on a line of their own. */
void print_summary(FILE *to, const char *folder, const char *json);

#endif

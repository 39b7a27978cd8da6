/* The table of an evaluation, for people. */
#ifndef CLLM_CLI_TABLE_H
#define CLLM_CLI_TABLE_H

#include <json-c/json.h>
#include <stdio.h>

/* `report` is what cllm_evaluate gave: a row per model with the headline metrics, intervals, coverage, and the paired test. */
void print_evaluation(FILE *to, struct json_object *report);

#endif

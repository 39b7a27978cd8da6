#include "api/ablation.h"

extern const cllm__study CLLM__STUDY_LAMBDA, CLLM__STUDY_VOCABULARY, CLLM__STUDY_PROMPT;

const cllm__study *const CLLM__STUDIES[] = {&CLLM__STUDY_LAMBDA, &CLLM__STUDY_VOCABULARY, &CLLM__STUDY_PROMPT, NULL};

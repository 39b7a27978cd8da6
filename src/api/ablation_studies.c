#include "api/ablation.h"

extern const cllm__study CLLM__STUDY_LAMBDA;

const cllm__study *const CLLM__STUDIES[] = {&CLLM__STUDY_LAMBDA, NULL};

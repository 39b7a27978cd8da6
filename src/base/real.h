/*
 * The number type of activations, parameters and gradients: float, or double in the reference build (CLLM_REF64), which
 * exists for tests only: the same sources, compiled once more, are the oracle for gradients and golden vectors.
 */
#ifndef CLLM_BASE_REAL_H
#define CLLM_BASE_REAL_H

#ifdef CLLM_REF64
typedef double cllm__real;
#else
typedef float cllm__real;
#endif

#endif

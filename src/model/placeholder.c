/* The version of this layer. Placeholder until its first file lands. */
typedef int cllm__model_layer;

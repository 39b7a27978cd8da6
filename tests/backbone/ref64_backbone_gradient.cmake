# The operations that the test puts mutants in the place of.
foreach(operation gemm_frozen layernorm_backward rmsnorm_backward gelu_backward swiglu_backward attention_backward axpy
    dropout rotary_apply)
  target_link_options(${target} PRIVATE -Wl,--wrap=cllm__${operation})
endforeach()

#include <cllm4rec/cllm4rec.h>
#include <stdio.h>

int main(void) {
    printf("cllm4rec %s\n", cllm_version());
    return 0;
}

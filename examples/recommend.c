/*
 * Recommends for one user with a run that `cllm4rec train` made:
 *
 *     cc recommend.c $(pkg-config --cflags --libs cllm4rec) -o recommend
 *     ./recommend runs/beauty A1YJEY40YUW4SE
 */
#include <cllm4rec/cllm4rec.h>
#include <stdio.h>

static int recommend(cllm_session *session, const char *user) {
    cllm_error error;
    cllm_answer answer;
    const cllm_request request = {.user = user, .k = 5};
    if (cllm_recommend(session, &request, 1, &answer, &error) != CLLM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return cllm_status_exit_code(error.status);
    }
    /* A request that cannot be answered fails in its own answer. */
    int code = cllm_status_exit_code(answer.status);
    if (answer.status != CLLM_OK) fprintf(stderr, "%s\n", answer.message);
    for (size_t i = 0; i < answer.count; i++) {
        printf("%zu\t%s\t%.4f\t%s\n", i + 1, answer.items[i].item, answer.items[i].score, answer.items[i].title);
    }
    cllm_answer_free(&answer);
    return code;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: recommend RUN USER\n");
        return 2;
    }
    cllm_error error;
    cllm_model *model;     /* immutable, shared by threads */
    cllm_session *session; /* working memory of one thread */
    if (cllm_model_open(&model, argv[1], NULL, &error) != CLLM_OK) {
        fprintf(stderr, "%s\n", error.message);
        return cllm_status_exit_code(error.status);
    }
    int code;
    if (cllm_session_open(&session, model, 0, &error) == CLLM_OK) {
        code = recommend(session, argv[2]);
        cllm_session_close(session);
    } else {
        fprintf(stderr, "%s\n", error.message);
        code = cllm_status_exit_code(error.status);
    }
    cllm_model_close(model);
    return code;
}

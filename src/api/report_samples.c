/* A few recommendations beside the histories that they follow from. */
#include <math.h>

#include "api/model.h"
#include "api/report_data.h"

enum { SHOWN_HISTORY = 8, SHOWN_ITEMS = 5 };

static void item_name(cllm__page *page, const char *title, const char *id) {
    if (title[0] != '\0') {
        cllm__page_data(page, title, 110);
    } else {
        cllm__page_put(page, "<code>");
        cllm__page_data(page, id, 60);
        cllm__page_put(page, "</code>");
    }
}

static void show_history(cllm__page *page, const cllm_model *model, size_t user) {
    size_t n = cllm__row_count(&model->history.matrix, user), first = n > SHOWN_HISTORY ? n - SHOWN_HISTORY : 0;
    const int32_t *items = cllm__row(&model->history.matrix, user);
    cllm__page_put(page, "<div><h4>had%s</h4><ul>", first > 0 ? "" : " so far");
    for (size_t i = first; i < n; i++) {
        cllm__page_put(page, "<li>");
        item_name(page, cllm_model_item_title(model, (size_t)items[i]), cllm_model_item_id(model, (size_t)items[i]));
        cllm__page_put(page, "</li>");
    }
    cllm__page_put(page, "</ul>");
    if (first > 0) cllm__page_put(page, "<small class=\"soft\">and %zu more</small>", first);
    cllm__page_put(page, "</div>");
}

static cllm_status show_user(cllm__page *page, cllm_session *session, const cllm_model *model, size_t user, cllm_error *err) {
    cllm_answer answer;
    const cllm_request request = {.user = cllm_model_user_id(model, user), .k = SHOWN_ITEMS};
    CLLM_TRY(cllm_recommend(session, &request, 1, &answer, err));
    if (answer.status == CLLM_OK) {
        cllm__page_put(page, "<div class=\"user\"><h3>");
        cllm__page_data(page, request.user, 60);
        cllm__page_put(page, "</h3><div class=\"pair\">");
        show_history(page, model, user);
        cllm__page_put(page, "<div><h4>recommended</h4><ol>");
        for (size_t i = 0; i < answer.count; i++) {
            cllm__page_put(page, "<li>");
            item_name(page, answer.items[i].title, answer.items[i].item);
            cllm__page_put(page, " <small>%.2g %%</small></li>", 100 * exp(answer.items[i].score));
        }
        cllm__page_put(page, "</ol></div></div></div>\n");
    }
    cllm_answer_free(&answer);
    return CLLM_OK;
}

/* Users with three items or more, spread evenly over the rows. */
static cllm_status show_users(cllm__page *page, cllm_session *session, const cllm_model *model, size_t wanted, cllm_error *err) {
    size_t users = cllm_model_users(model), next = 0;
    for (size_t i = 0; i < wanted; i++) {
        size_t user = users / wanted * i;
        if (user < next) user = next;
        while (user < users && cllm__row_count(&model->history.matrix, user) < 3) user++;
        if (user >= users) return CLLM_OK;
        CLLM_TRY(show_user(page, session, model, user, err));
        next = user + 1;
    }
    return CLLM_OK;
}

cllm_status cllm__report_samples(cllm__page *page, const cllm__report_run *run, const cllm_report_options *options, cllm_error *err) {
    cllm_model *model;
    cllm_session *session;
    const cllm_model_options how = {.dataset = options->dataset};
    if (options->samples == 0) return CLLM_OK;
    CLLM_TRY(cllm_model_open(&model, run->path, &how, err));
    cllm_status status = cllm_session_open(&session, model, options->threads, err);
    if (status == CLLM_OK) {
        cllm__page_put(page, "<h3>Some recommendations of ");
        cllm__page_data(page, run->name, 60);
        cllm__page_put(page, "</h3>\n<p>Beside each item the model’s probability that it is the next one. Nothing that the user has had is recommended again.</p>\n"
                             "<div class=\"users\">\n");
        status = show_users(page, session, model, options->samples, err);
        cllm__page_put(page, "</div>\n");
        cllm_session_close(session);
    }
    cllm_model_close(model);
    return status;
}

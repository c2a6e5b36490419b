/* What a client asks for while the machine stands still: some of it is answered here, the rest by the stub. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "debugger/internal.h"

enum { ANSWER_MS = 120000 }; /* a monitor's command may take a while */

static bool begins(const char *body, const char *word)
{
    return strncmp(body, word, strlen(word)) == 0;
}

static bool is_stop_report(const char *body)
{
    return (body[0] == 'T' || body[0] == 'S') && isxdigit((unsigned char)body[1]) && isxdigit((unsigned char)body[2]);
}

/* Output for the console, which comes before an answer. */
static bool is_output(const char *body)
{
    return body[0] == 'O' && strcmp(body, "OK") != 0;
}

/* Asks the stub what the client asks; the answer is in stub.reader. False: there is none, as the machine has ended. */
static bool ask_stub(struct proxy *p)
{
    const char *body = p->client.reader.body, *answer = p->stub.reader.body;

    peer_send(&p->stub, body, p->client.reader.bytes);
    while (peer_wait(&p->stub, ANSWER_MS)) {
        if (is_output(answer))
            peer_send(&p->client, answer, p->stub.reader.bytes);
        else if (body[0] == '?' || !is_stop_report(answer))
            return true;
    }
    p->ended = true;
    return false;
}

static void forward(struct proxy *p)
{
    const char *body = p->client.reader.body;

    if (points_refuse(&p->points, body)) {
        peer_say(&p->client, "E22");
        return;
    }
    if (!ask_stub(p))
        return;
    if (strcmp(p->stub.reader.body, "OK") == 0)
        points_note(&p->points, body);
    peer_send(&p->client, p->stub.reader.body, p->stub.reader.bytes);
}

/* QEMU's stub forgets all points then, as a new client begins with that, but only those of the first CPU. */
static void answer_halted(struct proxy *p)
{
    proxy_take_back(p);
    forward(p);
    proxy_watch(p);
}

static void answer_supported(struct proxy *p)
{
    static const char libraries[] = ";qXfer:libraries:read+";
    char answer[RSP_BODY_MAX + 1];

    if (!ask_stub(p))
        return;
    snprintf(answer, sizeof answer, "%.*s%s", (int)(RSP_BODY_MAX - sizeof libraries), p->stub.reader.body, libraries);
    peer_say(&p->client, answer);
}

static void answer_slice(struct proxy *p, const char *range, const char *text, size_t bytes)
{
    char answer[RSP_BODY_MAX + 1];

    peer_send(&p->client, answer, rsp_slice(range, text, bytes, answer));
}

static void answer_target(struct proxy *p)
{
    answer_slice(p, strrchr(p->client.reader.body, ':') + 1, p->target, p->target_bytes);
}

/* A list is read in slices: it is the same one from the first to the last. */
static void answer_libraries(struct proxy *p)
{
    const char *range = strrchr(p->client.reader.body, ':') + 1;
    size_t bytes;

    if (begins(range, "0,")) {
        proxy_look(p);
        p->untold = false;
    }
    const char *text = libraries_text(p->debugger->libraries, &bytes);
    answer_slice(p, range, text, bytes);
}

static void resume(struct proxy *p)
{
    const char *body = p->client.reader.body;

    if (p->client.reader.bytes >= sizeof p->resume) {
        peer_say(&p->client, "E22");
        return;
    }
    strcpy(p->resume, body);
    p->steps = body[0] == 's' || body[0] == 'S' || strstr(body, ";s") || strstr(body, ";S");
    p->interrupted = p->asked = false;
    p->running = true;
    peer_say(&p->stub, p->resume);
}

static void detach(struct proxy *p)
{
    p->ended = p->detached = true;
}

static void kill_machine(struct proxy *p)
{
    peer_send(&p->stub, p->client.reader.body, p->client.reader.bytes);
    if (peer_wait(&p->stub, ANSWER_MS))
        peer_send(&p->client, p->stub.reader.body, p->stub.reader.bytes);
    p->ended = true;
}

/* The only form in which there can be no acknowledgements is one that the stub knows nothing of. */
static void refuse(struct proxy *p)
{
    peer_say(&p->client, "");
}

void proxy_answer(struct proxy *p)
{
    static const struct {
        const char *begin;
        void (*answer)(struct proxy *proxy);
    } answers[] = {
        {"qSupported", answer_supported},
        {"qXfer:features:read:target.xml:", answer_target},
        {"qXfer:libraries:read::", answer_libraries},
        {"QStartNoAckMode", refuse},
        {"?", answer_halted},
        {"vCont?", forward},
        {"vCont", resume},
        {"c", resume},
        {"s", resume},
        {"C", resume},
        {"S", resume},
        {"D", detach},
        {"k", kill_machine},
        {"vKill", kill_machine},
    };

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (begins(p->client.reader.body, answers[i].begin)) {
            answers[i].answer(p);
            return;
        }
    forward(p);
}

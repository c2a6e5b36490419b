/* Runs this program's own verbs as a child in the background, so that what a key does is what the shown command does
 * and the screen never waits for the guest. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define COMMAND_WORDS      12
#define COMMAND_WORD_BYTES 256

struct command {
    char word[COMMAND_WORDS][COMMAND_WORD_BYTES]; /* word[0] is the verb */
    int words;
    int pid;        /* > 0 while it runs */
    int output;     /* pipe of its standard output and error */
    char said[512]; /* the last line of what it printed */
    size_t said_bytes;
    int status; /* exit status, once it has ended */
};

/* Adds a word; what is too long is cut, what is too many left out. */
void command_add(struct command *command, const char *word);
/* "delias swap m a=b.o", quoted where a shell would need it. */
void command_text(const struct command *command, char *ret_text, size_t bytes);
bool command_start(struct command *command); /* false: it could not be started, and `said` tells why */
bool command_poll(struct command *command);  /* true once, when it has ended */
/* Ends the child, if it runs. */
void command_stop(struct command *command);

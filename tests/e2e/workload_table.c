/* Makes tables of right results on the host: of each round of the workload's cycle, and of each part in
 * it (guest/abi/rounds.h), from the definitions in pattern.h, and of frames of the animated picture
 * (tests/guest/tests/test_canvas/frames.h).
 * Nothing of it runs through channels, files, tasks or heap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cells/app/workload/pattern.h"
#include "cells/gfx/canvas/canvas.h"
#include "cells/gfx/canvas/picture.h"

static uint64_t messages(uint32_t index)
{
    uint64_t value = PATTERN_SEED;
    uint8_t body[PATTERN_BODY];

    for (uint32_t i = 0; i < PATTERN_MESSAGES; i++) {
        pattern_fill(body, sizeof body, pattern_seed(PART_PRODUCER, index, i));
        value = pattern_fold(value, body, sizeof body);
    }
    return value;
}

static uint64_t pictures(uint32_t index)
{
    static uint32_t pixel[PATTERN_WIDTH * PATTERN_HEIGHT];
    struct canvas canvas = {.width = PATTERN_WIDTH, .height = PATTERN_HEIGHT, .pixel = pixel};
    uint64_t value = PATTERN_SEED;

    for (uint32_t i = 0; i < PATTERN_FRAMES; i++) {
        canvas_animate(&canvas, pattern_frame(index, i));
        value = pattern_fold_word(value, canvas_checksum(&canvas));
    }
    return value;
}

static uint64_t contents(enum part part, uint32_t index, uint32_t items, size_t bytes_of(uint32_t, uint32_t))
{
    static uint8_t content[PATTERN_FILE_MAX > PATTERN_BLOCK_MAX ? PATTERN_FILE_MAX : PATTERN_BLOCK_MAX];
    uint64_t value = PATTERN_SEED;

    for (uint32_t i = 0; i < items; i++) {
        pattern_fill(content, bytes_of(index, i), pattern_seed(part, index, i));
        value = pattern_fold(value, content, bytes_of(index, i));
    }
    return value;
}

static uint64_t tasks(uint32_t index)
{
    uint64_t value = PATTERN_SEED;

    for (uint32_t i = 0; i < PATTERN_TASKS; i += 2)
        value = pattern_fold_word(value, (uint64_t)(uint32_t)pattern_task(index, i) << 32 |
                                             (uint32_t)pattern_task(index, i + 1));
    return value;
}

static void print_frames(void)
{
    enum { WIDTH = 160, HEIGHT = 120, FRAMES = 6 };
    static uint32_t pixel[WIDTH * HEIGHT];
    struct canvas canvas = {.width = WIDTH, .height = HEIGHT, .pixel = pixel};

    printf("/* CRC-32 of the first frames of the animated picture, as the host draws them: "
           "tests/e2e/workload_table.sh. */\n"
           "#pragma once\n#include <stdint.h>\n\n#define FRAMES_WIDTH  %d\n#define FRAMES_HEIGHT %d\n\n"
           "static const uint32_t frames[] = {\n",
           WIDTH, HEIGHT);
    for (uint32_t i = 0; i < FRAMES; i++) {
        canvas_animate(&canvas, i);
        printf("%s0x%08x,%s", i ? " " : "    ", canvas_checksum(&canvas), i == FRAMES - 1 ? "\n" : "");
    }
    puts("};");
}

static uint64_t opened(uint32_t index)
{
    uint64_t value = PATTERN_SEED;
    char name[16];

    for (uint32_t i = 0; i < PATTERN_OPENS; i++) {
        pattern_name(index, i, name);
        value = pattern_fold_word(pattern_fold_word(value, 0), 0);
        value = pattern_fold(value, name, strlen(name));
    }
    return value;
}

static uint64_t read_again(uint32_t index)
{
    static uint8_t content[PATTERN_FILE_MAX];
    uint64_t value = pattern_fold_word(PATTERN_SEED, index);

    pattern_fill(content, pattern_file_bytes(0, 0), pattern_seed(PART_READER, 0, 0));
    for (int i = 0; i < PATTERN_READS; i++)
        value = pattern_fold(value, content, pattern_file_bytes(0, 0));
    return value;
}

static uint64_t written_last(uint32_t index)
{
    static uint8_t content[PATTERN_FILE_MAX];
    size_t bytes = pattern_file_bytes(index, PATTERN_FILES - 1);

    pattern_fill(content, bytes, pattern_seed(PART_WRITER, index, PATTERN_FILES - 1));
    return pattern_fold(PATTERN_SEED, content, bytes);
}

static void values_of(uint32_t index, uint64_t ret_value[PARTS])
{
    const uint64_t value[PARTS] = {
        [PART_PRODUCER] = messages(index),
        [PART_CONSUMER] = messages(index),
        [PART_PAINTER] = pictures(index),
        [PART_FILER] = contents(PART_FILER, index, PATTERN_FILES, pattern_file_bytes),
        [PART_SPAWNER] = tasks(index),
        [PART_OPENER] = opened(index),
        [PART_READER] = read_again(index),
        [PART_WRITER] = written_last(index),
        [PART_ALLOCATOR] = contents(PART_ALLOCATOR, index, PATTERN_BLOCKS, pattern_block_bytes),
    };

    memcpy(ret_value, value, sizeof value);
}

static void print_table(void)
{
    for (uint32_t index = 0; index < PATTERN_CYCLE; index++) {
        uint64_t value[PARTS];

        values_of(index, value);
        for (int i = 0; i < PARTS; i++)
            printf("%s0x%016llx%s",
                   i == 0  ? "    {"
                   : i % 5 ? " "
                           : "\n     ",
                   (unsigned long long)value[i], i == PARTS - 1 ? "},\n" : ",");
    }
    puts("};");
}

static void print_rounds(void)
{
    puts(
        "/* The workload's rounds (cells/app/workload), as both sides must have them: the guest compares a round with\n"
        " * this before it delivers it, the host what was delivered. A round is delivered as an event: EVENT_ROUND "
        "with\n"
        " * `a` its number, from 0 on, `b` its checksum, and a text as ROUNDS_TEXT has it. Made by\n"
        " * tests/e2e/workload_table.c, and checked against it by tests/e2e/workload_table.sh;\n"
        " * `tests/e2e/workload_table.sh --write` rewrites it. */\n"
        "#pragma once\n#include <stdint.h>\n#include \"guest/abi/workload.h\"\n\n"
        "/* number, checksum, id of the task that began it */\n"
        "#define ROUNDS_TEXT  \"round %lu %016lx of workload %u\"");
    printf("#define ROUNDS_CYCLE %d\n\n"
           "/* Of round n of the default parts: rounds_right[n %% ROUNDS_CYCLE]. */\n"
           "static const uint64_t rounds_right[ROUNDS_CYCLE] = {\n",
           PATTERN_CYCLE);
    for (uint32_t index = 0; index < PATTERN_CYCLE; index++) {
        uint64_t value[PARTS];

        values_of(index, value);
        printf("%s0x%016llx,%s", index % 4 ? " " : "    ",
               (unsigned long long)workload_round(index, WORKLOAD_DEFAULT, value), index % 4 == 3 ? "\n" : "");
    }
    puts("};\n\n/* The value of each part in round n: rounds_value[n % ROUNDS_CYCLE]. */\n"
         "static const uint64_t rounds_value[ROUNDS_CYCLE][PARTS] = {");
    print_table();
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "frames") == 0)
        print_frames();
    else
        print_rounds();
    return 0;
}

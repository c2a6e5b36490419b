/* See format.h. No floating point, no %n, no locale; an unknown conversion is printed unchanged. */
#include "cells/lib/format/format.h"

CELL("format", LIBRARY, 1);
FOUNDATION();
EXPORT(format_print, APPLICATION);
EXPORT(format_vprint, APPLICATION);

struct output {
    char *to;
    size_t room; /* characters that still fit, the NUL not counted */
    size_t written;
};

struct spec {
    bool left, zeros;
    size_t width;
    int precision; /* -1: none given */
    int longs;     /* 0: int, 1: 64 bits */
};

static void put(struct output *out, char c)
{
    if (!out->room)
        return;
    *out->to++ = c;
    out->room--;
    out->written++;
}

static void pad(struct output *out, char c, size_t count)
{
    while (count-- && out->room)
        put(out, c);
}

/* `prefix` (a sign or "0x") is put before the zeros of a zero-padded field. */
static void put_field(struct output *out, const struct spec *spec, const char *prefix, const char *text, size_t length)
{
    size_t before = 0;

    while (prefix[before])
        before++;
    size_t used = before + length, fill = spec->width > used ? spec->width - used : 0;
    if (!spec->left && !spec->zeros)
        pad(out, ' ', fill);
    for (; *prefix; prefix++)
        put(out, *prefix);
    if (!spec->left && spec->zeros)
        pad(out, '0', fill);
    for (size_t i = 0; i < length; i++)
        put(out, text[i]);
    if (spec->left)
        pad(out, ' ', fill);
}

static void put_number(struct output *out, const struct spec *spec, const char *prefix, uint64_t value,
                       bool hexadecimal, bool capitals)
{
    char digits[32];
    size_t at = sizeof digits, least = spec->precision > 0 ? (size_t)spec->precision : 1;
    unsigned base = hexadecimal ? 16 : 10;
    struct spec field = *spec;

    if (least > sizeof digits)
        least = sizeof digits;
    do {
        digits[--at] = (capitals ? "0123456789ABCDEF" : "0123456789abcdef")[value % base];
        value /= base;
    } while (value);
    while (sizeof digits - at < least)
        digits[--at] = '0';
    if (spec->precision >= 0)
        field.zeros = false;
    put_field(out, &field, prefix, digits + at, sizeof digits - at);
}

static void put_string(struct output *out, const struct spec *spec, const char *text)
{
    struct spec field = *spec;
    size_t length = 0;

    if (!text)
        text = "(null)";
    while ((spec->precision < 0 || length < (size_t)spec->precision) && text[length])
        length++;
    field.zeros = false;
    put_field(out, &field, "", text, length);
}

static const char *read_number(const char *at, va_list *arguments, int *ret_value)
{
    int value = 0;

    if (*at == '*') {
        *ret_value = va_arg(*arguments, int);
        return at + 1;
    }
    for (; *at >= '0' && *at <= '9'; at++)
        value = value < 10000 ? value * 10 + (*at - '0') : value;
    *ret_value = value;
    return at;
}

/* Reads flags, width, precision and length after '%'. Returns where the conversion character is. */
static const char *read_spec(const char *at, va_list *arguments, struct spec *ret_spec)
{
    struct spec spec = {.precision = -1};
    int width;

    for (; *at == '-' || *at == '0' || *at == ' ' || *at == '+' || *at == '#'; at++) {
        spec.left |= *at == '-';
        spec.zeros |= *at == '0';
    }
    at = read_number(at, arguments, &width);
    spec.left |= width < 0;
    spec.width = (size_t)(width < 0 ? -width : width);
    if (*at == '.')
        at = read_number(at + 1, arguments, &spec.precision);
    for (; *at == 'l' || *at == 'z' || *at == 'h' || *at == 'j' || *at == 't'; at++)
        spec.longs |= *at != 'h';
    *ret_spec = spec;
    return at;
}

static void put_conversion(struct output *out, char conversion, struct spec *spec, va_list *arguments)
{
    switch (conversion) {
    case 'd':
    case 'i': {
        int64_t value = spec->longs ? va_arg(*arguments, int64_t) : va_arg(*arguments, int);
        put_number(out, spec, value < 0 ? "-" : "", value < 0 ? -(uint64_t)value : (uint64_t)value, false, false);
        return;
    }
    case 'u':
    case 'x':
    case 'X': {
        uint64_t value = spec->longs ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned);
        put_number(out, spec, "", value, conversion != 'u', conversion == 'X');
        return;
    }
    case 'p':
        put_number(out, spec, "0x", (uint64_t)va_arg(*arguments, void *), true, false);
        return;
    case 'c': {
        char c = (char)va_arg(*arguments, int);
        spec->zeros = false;
        put_field(out, spec, "", &c, 1);
        return;
    }
    case 's':
        put_string(out, spec, va_arg(*arguments, const char *));
        return;
    case '%':
        put(out, '%');
        return;
    default:
        put(out, '%');
        put(out, conversion);
    }
}

size_t format_vprint(char *to, size_t bytes, const char *format, va_list arguments)
{
    struct output out = {to, bytes ? bytes - 1 : 0, 0};
    va_list rest;

    va_copy(rest, arguments);
    while (*format) {
        struct spec spec;
        if (*format != '%') {
            put(&out, *format++);
            continue;
        }
        format = read_spec(format + 1, &rest, &spec);
        if (!*format)
            break;
        put_conversion(&out, *format++, &spec, &rest);
    }
    va_end(rest);
    if (bytes)
        *out.to = '\0';
    return out.written;
}

size_t format_print(char *to, size_t bytes, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    size_t written = format_vprint(to, bytes, format, arguments);
    va_end(arguments);
    return written;
}

/* How a domain is described to libvirt: as backend.c describes the same machine to QEMU. */
#include "vmm/machine/domain.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text and attributes alike. Control characters, which XML cannot have, become blanks. */
static void print_text(FILE *f, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '\'':
            fputs("&apos;", f);
            break;
        default:
            fputc((unsigned char)*text < ' ' ? ' ' : *text, f);
        }
}

static void print_element(FILE *f, const char *name, const char *text)
{
    if (!*text)
        return;
    fprintf(f, "<%s>", name);
    print_text(f, text);
    fprintf(f, "</%s>\n", name);
}

static void print_argument(FILE *f, const char *word, size_t bytes)
{
    char copy[MACHINE_TEXT_MAX];

    snprintf(copy, sizeof copy, "%.*s", (int)bytes, word);
    fputs("<qemu:arg value='", f);
    print_text(f, copy);
    fputs("'/>\n", f);
}

/* What libvirt has no element for. */
static void print_arguments(FILE *f, const struct machine_config *c)
{
    static const char *const exit_port[] = {"-device", "isa-debug-exit,iobase=0xf4,iosize=4"};
    static const char *const counted[] = {"-icount", "shift=0,sleep=off", "-rtc", "base=2020-01-01,clock=vm"};

    fputs("<qemu:commandline>\n", f);
    for (size_t i = 0; i < 2; i++)
        print_argument(f, exit_port[i], strlen(exit_port[i]));
    for (size_t i = 0; i < 4 && c->icount; i++)
        print_argument(f, counted[i], strlen(counted[i]));
    for (const char *word = c->extra; *word;) {
        size_t n;

        word += strspn(word, " \t\n");
        n = strcspn(word, " \t\n");
        if (n > 0)
            print_argument(f, word, n);
        word += n;
    }
    fputs("</qemu:commandline>\n", f);
}

static void print_system(FILE *f, const struct machine_config *c, const struct machine_info *info)
{
    fputs("<os><type arch='x86_64' machine='q35'>hvm</type>\n", f);
    print_element(f, "kernel", info->kernel);
    print_element(f, "initrd", info->archive);
    print_element(f, "cmdline", c->cmdline);
    fputs("</os>\n", f);
}

static void print_serial(FILE *f, const struct machine_info *info)
{
    fputs("<serial type='pty'><log append='off' file='", f);
    print_text(f, info->serial);
    fputs("'/></serial>\n", f);
}

char *domain_xml(const struct machine_config *c, const struct machine_info *info, bool kvm)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);

    if (!f)
        return NULL;
    fprintf(f, "<domain type='%s' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n", kvm ? "kvm" : "qemu");
    print_element(f, "name", c->name);
    fprintf(f, "<memory unit='b'>%llu</memory>\n<vcpu>%u</vcpu>\n", (unsigned long long)c->ram_bytes, c->cpus);
    fputs("<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>\n", f);
    print_system(f, c, info);
    fprintf(f, "<features><acpi/><apic/></features>\n<cpu mode='%s'/>\n", kvm ? "host-passthrough" : "maximum");
    fputs("<on_reboot>restart</on_reboot><on_crash>destroy</on_crash>\n<devices>\n", f);
    print_serial(f, info);
    fputs("<controller type='usb' model='none'/><memballoon model='none'/>\n</devices>\n", f);
    print_arguments(f, c);
    fputs("</domain>\n", f);
    if (fclose(f) == 0)
        return text;
    free(text);
    return NULL;
}

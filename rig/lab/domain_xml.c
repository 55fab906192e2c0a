/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. Some things are said to QEMU past libvirt, by qemu:commandline. User
 * networking (slirp) with port forwards: libvirt's own kind knows no forwards, and passt refuses to
 * run as root. The aarch64 CPU's pauth-impdef, without which pointer authentication eats most of
 * an emulated CPU. And memory in a file of our choosing, which libvirt would choose itself: the later
 * -machine wins, and what libvirt made for memory stays unused.
 *
 * The disk's cache is `writeback`: what the guest has flushed is on the image, what it has not may be
 * lost with it, as on a real disk. `none` (O_DIRECT) is refused by tmpfs and overlayfs, `unsafe`
 * ignores flushes. error_policy is `report`: when this host's disk is full the guest gets an I/O
 * error and says so on its console, where the default would pause it in silence.
 */

#include "rig/lab/domain_xml.h"

#include "base/buf.h"
#include "base/strv.h"

#define XML_MAX (64 << 10)

static void add_escaped(struct buf *out, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '&':
            buf_adds(out, "&amp;");
            break;
        case '<':
            buf_adds(out, "&lt;");
            break;
        case '>':
            buf_adds(out, "&gt;");
            break;
        case '\'':
            buf_adds(out, "&apos;");
            break;
        case '"':
            buf_adds(out, "&quot;");
            break;
        default:
            buf_addc(out, (unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
        }
}

/* BEFORE text AFTER, with the text escaped. */
static void add(struct buf *out, const char *before, const char *text, const char *after)
{
    buf_adds(out, before);
    add_escaped(out, text);
    buf_adds(out, after);
}

static void add_cpu(struct buf *out, const struct domain *d)
{
    if (d->kvm)
        buf_adds(out, "  <cpu mode='host-passthrough'/>\n");
    else if (str_eq(d->arch, "x86_64"))
        buf_adds(out, "  <cpu mode='maximum' check='none'/>\n");
}

/* A comma would end the option: it is said by two. */
static char *option_value(const char *s)
{
    CLEANUP_BUF struct buf out = BUF_INIT(XML_MAX);

    for (; *s; s++) {
        if (*s == ',')
            buf_addc(&out, ',');
        buf_addc(&out, *s);
    }
    return buf_steal(&out);
}

static void add_memory(struct buf *out, const struct domain *d)
{
    CLEANUP_FREE char *path = option_value(d->ram);

    buf_addf(out,
             "    <qemu:arg value='-object'/>\n"
             "    <qemu:arg value='memory-backend-file,id=ram0,size=%dM,%s,mem-path=",
             d->memory_mb, d->ram_copied ? "share=off,readonly=on,rom=off" : "share=on");
    add_escaped(out, path);
    buf_adds(out, "'/>\n"
                  "    <qemu:arg value='-machine'/>\n"
                  "    <qemu:arg value='memory-backend=ram0'/>\n");
}

static void add_arguments(struct buf *out, const struct domain *d)
{
    buf_adds(out, "  <qemu:commandline>\n"
                  "    <qemu:arg value='-netdev'/>\n"
                  "    <qemu:arg value='user,id=" DOMAIN_NETDEV);
    for (size_t i = 0; i < d->n_forwards; i++)
        buf_addf(out, ",hostfwd=tcp:127.0.0.1:%u-:%u", d->forwards[i].host, d->forwards[i].guest);
    buf_adds(out, "'/>\n"
                  "    <qemu:arg value='-device'/>\n"
                  "    <qemu:arg value='virtio-net-pci,netdev=" DOMAIN_NETDEV
                  ",bus=pcie.0,addr=0x10'/>\n");
    if (!d->kvm && str_eq(d->arch, "aarch64"))
        buf_adds(out, "    <qemu:arg value='-cpu'/>\n"
                      "    <qemu:arg value='max,pauth-impdef=on'/>\n");
    if (d->ram)
        add_memory(out, d);
    if (d->incoming)
        buf_adds(out, "    <qemu:arg value='-incoming'/>\n"
                      "    <qemu:arg value='defer'/>\n");
    buf_adds(out, "  </qemu:commandline>\n");
}

char *domain_xml(const struct domain *d)
{
    CLEANUP_BUF struct buf out = BUF_INIT(XML_MAX);
    bool x86 = str_eq(d->arch, "x86_64");

    buf_addf(&out, "<domain type='%s' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n",
             d->kvm ? "kvm" : "qemu");
    add(&out, "  <name>", d->name, "</name>\n");
    if (d->uuid)
        add(&out, "  <uuid>", d->uuid, "</uuid>\n");
    buf_addf(&out, "  <memory unit='MiB'>%d</memory>\n  <vcpu>%d</vcpu>\n", d->memory_mb, d->cpus);
    add(&out, "  <os>\n    <type arch='", d->arch, "'");
    buf_addf(&out, " machine='%s'>hvm</type>\n", x86 ? "q35" : "virt");
    add(&out, "    <kernel>", d->kernel, "</kernel>\n");
    add(&out, "    <initrd>", d->initrd, "</initrd>\n");
    add(&out, "    <cmdline>", d->cmdline, "</cmdline>\n  </os>\n");
    buf_adds(&out, x86 ? "  <features>\n    <acpi/>\n    <apic/>\n  </features>\n"
                       : "  <features>\n    <gic version='2'/>\n  </features>\n");
    add_cpu(&out, d);
    buf_adds(&out, "  <on_poweroff>destroy</on_poweroff>\n"
                   "  <on_reboot>restart</on_reboot>\n"
                   "  <on_crash>destroy</on_crash>\n"
                   "  <devices>\n"
                   "    <disk type='file' device='disk'>\n"
                   "      <driver name='qemu' type='qcow2' cache='writeback' "
                   "error_policy='report' discard='unmap'/>\n");
    add(&out, "      <source file='", d->disk, "'/>\n");
    buf_adds(&out, "      <target dev='vda' bus='virtio'/>\n"
                   "    </disk>\n"
                   "    <controller type='usb' model='none'/>\n"
                   "    <memballoon model='none'/>\n"
                   "    <serial type='file'>\n");
    add(&out, "      <source path='", d->console, "' append='on'/>\n");
    buf_adds(&out, "    </serial>\n"
                   "    <rng model='virtio'>\n"
                   "      <backend model='random'>/dev/urandom</backend>\n"
                   "    </rng>\n"
                   "  </devices>\n");
    add_arguments(&out, d);
    buf_adds(&out, "</domain>\n");
    return buf_steal(&out);
}

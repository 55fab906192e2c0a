/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/domain_xml.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

static const struct domain_forward forwards[] = { { 21022, 22 }, { 21080, 8080 } };

static struct domain plain(void)
{
    return (struct domain){ .name = "rig-edge-1",
                            .arch = "x86_64",
                            .cpus = 2,
                            .memory_mb = 1024,
                            .kernel = "/cache/image/vmlinuz",
                            .initrd = "/cache/image/initrd.img",
                            .cmdline = "root=/dev/vda ro console=ttyS0",
                            .disk = "/run/machines/edge-1/disk.qcow2",
                            .console = "/run/machines/edge-1/console.log",
                            .forwards = forwards,
                            .n_forwards = ARRAY_LEN(forwards) };
}

TEST(an_emulated_x86_64_machine)
{
    struct domain d = plain();
    CLEANUP_FREE char *xml = domain_xml(&d);

    check_golden(xml, "rig/lab/testdata/domain-x86_64-tcg.xml");
}

TEST(an_accelerated_x86_64_machine_without_forwards)
{
    struct domain d = plain();
    CLEANUP_FREE char *xml = NULL;

    d.kvm = true;
    d.n_forwards = 0;
    xml = domain_xml(&d);
    check_golden(xml, "rig/lab/testdata/domain-x86_64-kvm.xml");
}

TEST(an_emulated_aarch64_machine)
{
    struct domain d = plain();
    CLEANUP_FREE char *xml = NULL;

    d.arch = "aarch64";
    d.cmdline = "root=/dev/vda ro console=ttyAMA0";
    xml = domain_xml(&d);
    check_golden(xml, "rig/lab/testdata/domain-aarch64-tcg.xml");
}

TEST(a_restored_machine_maps_the_snapshots_memory_and_writes_none_of_it)
{
    struct domain d = plain();
    CLEANUP_FREE char *saved = NULL, *restored = NULL;

    d.ram = "/cache/a,b/ram";
    saved = domain_xml(&d);
    check_has(saved, "memory-backend-file,id=ram0,size=1024M,share=on,mem-path=/cache/a,,b/ram'");
    check_true(!strstr(saved, "-incoming"));
    d.ram_copied = d.incoming = true;
    restored = domain_xml(&d);
    check_has(restored, "size=1024M,share=off,readonly=on,rom=off,mem-path=/cache/a,,b/ram'");
    check_has(restored, "<qemu:arg value='-incoming'/>\n    <qemu:arg value='defer'/>");
}

TEST(hostile_text_stays_text)
{
    struct domain d = plain();
    CLEANUP_FREE char *xml = NULL;

    d.name = "</name><evil/>";
    d.disk = "/tmp/it's <here> & \"there\"\n";
    d.cmdline = "a='b' c=<d>&\x01";
    xml = domain_xml(&d);
    check_has(xml, "<name>&lt;/name&gt;&lt;evil/&gt;</name>");
    check_has(xml, "<source file='/tmp/it&apos;s &lt;here&gt; &amp; &quot;there&quot;?'/>");
    check_has(xml, "<cmdline>a=&apos;b&apos; c=&lt;d&gt;&amp;?</cmdline>");
    check_true(!strstr(xml, "<evil"));
}

CHECK_MAIN()
